import type { CliContext } from '../../cli/command.ts'
import { cut, toPrintable, toTable } from '../../cli/terminal/table.ts'
import type { MissingOffsets } from '../../lib/archive/chain.ts'
import { toMissingText } from '../../lib/archive/chain.ts'
import { toCount, toPlural, toSpan } from '../../lib/words.ts'
import type { Run } from './journal.ts'
import { recordsLeft } from './journal.ts'
import type { Tally } from './tally.ts'
import { countDeadLetters } from './tally.ts'

/** What a rerun makes: rows of Postgres, objects of the archive, or records of a topic. */
export type RerunKind = 'rows' | 'archive' | 'topic'

export interface RerunEnd {
  run: Run
  kind: RerunKind
  options: { deadLetters: boolean }
  ms: number
  aborted: boolean
  /** The command that goes on with it. */
  resume: string
}

/** Tells how a rerun ended: the reconciliation, and what to do next where it was cut short. */
export function report({ out }: CliContext, end: RerunEnd): void {
  const { run, kind, ms, aborted, resume } = end
  const { tally } = run
  const left = recordsLeft(run.plan)
  if (out.json) {
    out.printJson({ run: run.id, finished: !aborted, left, seconds: ms / 1000, ...tally })
    return
  }
  const table = toTable(
    [{ title: '' }, { title: 'RECORDS', align: 'right' }, { title: 'ITEMS', align: 'right' }],
    toRows(tally, kind, end.options.deadLetters).map(([name, ...n]) => [
      name,
      ...n.map((c) => (c === null ? '' : toCount(c))),
    ]),
    out.width,
  )
  out.print(table.join('\n'))
  for (const line of toRemovedLines(tally)) out.say(cut(line, out.width))
  for (const example of tally.deadExamples) out.say(cut(`  ${toPrintable(example)}`, out.width))
  for (const { key, reason } of tally.damaged) out.say(`Damaged: ${toPrintable(key)}: ${toPrintable(reason)}`)
  for (const line of toMissingLines(tally.missing)) out.say(line)
  const rate = ms > 0 ? `, ${toCount(Math.round((tally.read * 1000) / ms))} records/s` : ''
  if (aborted) {
    out.say(`\nInterrupted after ${toTook(ms)}; ${toPlural(left, 'record')} left. Go on with:\n  ${resume}`)
  } else out.say(`\nDone in ${toTook(ms)}${rate}.`)
}

function toRemovedLines({ removed, removedExamples }: Tally): string[] {
  if (removed === 0) return []
  const named = removedExamples.map((example) => `  ${toPrintable(example)}`)
  const more = removed - removedExamples.length
  return [
    'Removed, as their page does not claim them:',
    ...named,
    ...(more > 0 ? [`  … and ${more} more.`] : []),
  ]
}

const rangesNamed = 10

/** What no object holds, in words. */
export function toMissingLines(missing: readonly MissingOffsets[]): string[] {
  if (missing.length === 0) return []
  const named = missing
    .slice(0, rangesNamed)
    .map((range) => `Missing in the archive: ${toMissingText(range)}`)
  const more = missing.length - rangesNamed
  return [
    ...named,
    ...(more > 0 ? [`… and ${toPlural(more, 'more range')} of offsets.`] : []),
    'Does the object store list all objects, and is S3_PREFIX the one that the archiver writes to?',
  ]
}

/** `0.4s` as long as it is short, else as any span. */
function toTook(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)}s` : toSpan(ms)
}

type Line = [name: string, records: number | null, items: number | null]

function toRows(tally: Tally, kind: RerunKind, published: boolean): Line[] {
  const dead = countDeadLetters(tally)
  const lines: Line[] = [['read', tally.read, tally.items > 0 ? tally.items : null]]
  if (tally.passedOver > 0) lines.push(['  passed over', tally.passedOver, null])
  if (kind === 'topic') lines.push(['  published', tally.published, null])
  if (kind === 'archive') {
    lines.push(
      ['  put into the archive', tally.recordsPut, null],
      ['  there already', Math.max(0, tally.read - tally.recordsPut), null],
      ['objects put', tally.objectsPut, null],
    )
  }
  if (kind === 'rows') lines.push(...toRowLines(tally))
  const fresh = dead - tally.deadKnown
  if (fresh > 0)
    lines.push([published ? 'dead letters, published' : 'dead letters, not published', fresh, null])
  if (tally.deadKnown > 0) lines.push(['dead letters, there already', tally.deadKnown, null])
  if (tally.forgotten > 0) lines.push(['no longer in the topic', tally.forgotten, null])
  if (tally.damaged.length > 0) lines.push(['damaged objects', tally.damaged.length, null])
  return lines
}

function toRowLines(tally: Tally): Line[] {
  const lines: Line[] = []
  if (tally.items > 0) {
    lines.push(
      ['  stored new', null, tally.stored],
      ['  already there', null, tally.alreadyThere],
      ['  changed', null, tally.changed],
      ['  dropped by name', null, tally.dropped],
      ['  rejected', null, tally.rejected],
    )
    if (tally.removed > 0) lines.push(['plays that no page claims, removed', null, tally.removed])
  }
  if (tally.found + tally.notFound > 0) {
    lines.push(['  entities', tally.found, null], ['  ids that do not exist', tally.notFound, null])
  }
  lines.push(['rows of the catalogue written', null, tally.catalogueRows])
  if (tally.unjudged > 0) lines.push(['facts that could not be judged', null, tally.unjudged])
  if (tally.gaps > 0) lines.push(['gaps found', null, tally.gaps])
  return lines
}
