import { Help } from 'commander'
import type { Verdict } from '../../lib/lag/verdict.ts'
import { toCount, toPlural, toSpan } from '../../lib/words.ts'
import type { GroupStanding, PartitionStanding } from '../../operations/lag/report.ts'
import type { Output } from '../terminal/output.ts'
import type { Column } from '../terminal/table.ts'
import { toPrintable, toTable } from '../terminal/table.ts'

type Painter = Pick<Output, 'style' | 'width'>

const groupColumns: Column[] = [
  { title: 'GROUP', shrinks: true },
  { title: 'STATE' },
  { title: 'MEMBERS', align: 'right' },
  { title: 'LAG', align: 'right' },
  { title: 'OLDEST', align: 'right' },
  { title: 'VERDICT' },
]

const partitionColumns: Column[] = [
  { title: 'GROUP', shrinks: true },
  { title: 'TOPIC', shrinks: true },
  { title: 'P', align: 'right' },
  { title: 'COMMITTED', align: 'right' },
  { title: 'END', align: 'right' },
  { title: 'LAG', align: 'right' },
  { title: 'OLDEST', align: 'right' },
  { title: 'VERDICT' },
]

/**
 * Groups, their members and partitions as lines for a person.
 *
 * @param detail.all shows every partition, else only those where records wait
 * @param detail.members shows which member has which partitions
 */
export function toLagLines(
  groups: readonly GroupStanding[],
  { out, detail }: { out: Painter; detail: { all: boolean; members: boolean } },
): string[] {
  const partitions = groups.flatMap((g) =>
    g.partitions.filter((p) => detail.all || p.lag > 0).map((p) => ({ ...p, group: g.group })),
  )
  const members = detail.members ? groups.flatMap((g) => toMemberLines(g, out.width)) : []
  const forgotten = groups.flatMap((g) => toForgottenLines(g, out.width))
  return [
    ...paint(toTable(groupColumns, groups.map(toGroupRow), out.width), groups, out),
    ...section(members),
    ...section(
      partitions.length > 0
        ? paint(toTable(partitionColumns, partitions.map(toPartitionRow), out.width), partitions, out)
        : [],
    ),
    ...section(forgotten),
  ]
}

function section(lines: string[]): string[] {
  return lines.length > 0 ? ['', ...lines] : []
}

function toGroupRow(g: GroupStanding): string[] {
  return [g.group, g.state, toCount(g.members.length), toCount(g.lag), toAge(g), g.verdict]
}

function toPartitionRow(p: PartitionStanding & { group: string }): string[] {
  const committed = p.committed === null ? '-' : String(p.committed)
  return [
    p.group,
    p.topic,
    String(p.partition),
    committed,
    String(p.end),
    toCount(p.lag),
    toAge(p),
    p.verdict,
  ]
}

function toAge({ lag, lagMs }: { lag: number; lagMs: number | null }): string {
  return lag === 0 || lagMs === null ? '-' : toSpan(lagMs)
}

function toMemberLines({ group, members }: GroupStanding, width: number): string[] {
  if (members.length === 0) return [`${group} has no members`]
  return members.flatMap((m) => {
    const text = `${group}: ${toPrintable(m.clientId)} at ${m.host} has ${toAssigned(m)}`
    return new Help().boxWrap(text, width).split('\n')
  })
}

function toAssigned({ assigned }: GroupStanding['members'][number]): string {
  const texts = assigned.filter((a) => a.partitions.length > 0)
  return texts.map((a) => `${a.topic}:${toRanges(a.partitions)}`).join(' ') || 'no partition'
}

/** Shortens ascending numbers to runs, as in `0-2,5`. */
export function toRanges(numbers: readonly number[]): string {
  const runs: [first: number, last: number][] = []
  for (const n of numbers) {
    const run = runs.at(-1)
    if (run?.[1] === n - 1) run[1] = n
    else runs.push([n, n])
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}

function toForgottenLines({ group, partitions }: GroupStanding, width: number): string[] {
  const lost = partitions.reduce((sum, p) => sum + p.forgotten, 0)
  if (lost === 0) return []
  const text = `${group}: retention removed ${toPlural(lost, 'record')} that it had not read: songswap restore`
  return new Help().boxWrap(text, width).split('\n')
}

const styles: Partial<Record<Verdict, Parameters<Output['style']>[0]>> = {
  ok: 'green',
  warn: 'yellow',
  unknown: 'dim',
}

/** Colours the verdicts at the ends of the lines. It runs after the layout, which cannot measure colour codes. */
function paint(table: readonly string[], rows: readonly { verdict: Verdict }[], out: Painter): string[] {
  return table.map((line, i) => {
    const verdict = rows[i - 1]?.verdict
    if (!verdict || !line.endsWith(verdict)) return line
    return line.slice(0, -verdict.length) + out.style(styles[verdict] ?? 'red', verdict)
  })
}
