import { toCount, toRelative } from '../../lib/words.ts'
import type { LetterSummary } from '../../operations/dead-letters/report.ts'
import { toTable } from '../terminal/table.ts'

/**
 * A table of groups of dead letters: their counts, and when the first and the last letter died.
 *
 * @param counts by state, or only of the letters that a command has chosen
 */
export function toGroupTable(
  groups: readonly LetterSummary[],
  { width, counts }: { width: number; counts: 'states' | 'chosen' },
): string[] {
  const now = new Date()
  const chosen = counts === 'chosen'
  return toTable(
    [
      { title: 'REASON', shrinks: true },
      { title: 'GROUP', shrinks: true },
      { title: 'TOPIC', shrinks: true },
      ...(chosen ? ['COUNT'] : ['OPEN', 'DONE']).map((title) => ({ title, align: 'right' as const })),
      { title: 'FIRST', align: 'right' },
      { title: 'LAST', align: 'right' },
    ],
    groups.map((g) => [
      g.reason,
      g.group,
      g.topic,
      ...(chosen
        ? [toCount(g.open + g.redriven + g.discarded)]
        : [toCount(g.open), toCount(g.redriven + g.discarded)]),
      toRelative(g.firstAt, now),
      toRelative(g.lastAt, now),
    ]),
    width,
  )
}
