import type { MissingOffsets } from '../../lib/archive/chain.ts'
import { toMissingText } from '../../lib/archive/chain.ts'
import { toCount, toPlural, toSpan } from '../../lib/words.ts'
import type { RerunReport } from '../../operations/rerun/run.ts'
import type { Output } from '../terminal/output.ts'
import { cut, toPrintable, toTable } from '../terminal/table.ts'

/** What a rerun writes: rows of Postgres, objects of the archive, or records of a topic. */
type RerunKind = 'rows' | 'archive' | 'topic'

/** Prints the counts of a rerun and, if it was cut short, how to go on. */
export function showDone(
  out: Output,
  report: RerunReport,
  of: { kind: RerunKind; deadLetters: boolean; resume: string },
): void {
  const { seconds, finished, left } = report
  const table = toTable(
    [{ title: '' }, { title: 'RECORDS', align: 'right' }, { title: 'ITEMS', align: 'right' }],
    toRows(report, of.kind, of.deadLetters).map(([name, ...n]) => [
      name,
      ...n.map((c) => (c === null ? '' : toCount(c))),
    ]),
    out.width,
  )
  out.print(table.join('\n'))
  for (const line of toRemovedLines(report)) out.say(cut(line, out.width))
  for (const example of report.deadExamples) out.say(cut(`  ${toPrintable(example)}`, out.width))
  for (const { key, reason } of report.damaged)
    out.say(`Damaged: ${toPrintable(key)}: ${toPrintable(reason)}`)
  for (const line of toMissingLines(report.missing)) out.say(line)
  const rate = seconds > 0 ? `, ${toCount(Math.round(report.read / seconds))} records/s` : ''
  const interrupted = `Interrupted after ${toTook(seconds)}; ${toPlural(left, 'record')} left. Go on with:\n  ${of.resume}`
  out.say(finished ? `\nDone in ${toTook(seconds)}${rate}.` : `\n${interrupted}`)
}

function toRemovedLines({ removed, removedExamples }: RerunReport): string[] {
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

/** The first ranges of offsets that no object holds, as lines for a person. */
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

/** Below 10 seconds with a decimal (`0.4s`), else like any span. */
function toTook(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(1)}s` : toSpan(seconds * 1000)
}

type Line = [name: string, records: number | null, items: number | null]

function toRows(tally: RerunReport, kind: RerunKind, published: boolean): Line[] {
  const dead = Object.values(tally.deadLetters).reduce((sum, n) => sum + n, 0)
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

function toRowLines(tally: RerunReport): Line[] {
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
    if (tally.kept > 0) lines.push(['plays that another page claims, kept', null, tally.kept])
  }
  if (tally.found + tally.notFound > 0) {
    lines.push(['  entities', tally.found, null], ['  ids that do not exist', tally.notFound, null])
  }
  lines.push(['rows of the catalogue written', null, tally.catalogueRows])
  if (tally.unjudged > 0) lines.push(['facts that could not be judged', null, tally.unjudged])
  if (tally.gaps > 0) lines.push(['gaps found', null, tally.gaps])
  return lines
}
