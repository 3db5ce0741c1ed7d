import { toCount, toPlural, toRelative } from '../../lib/words.ts'
import type { OpenRun } from '../../operations/rerun/journal.ts'
import type { Removals } from '../../operations/rerun/removals.ts'
import { toUnclaimedText } from '../../services/loader/claim-store.ts'
import { cut, toPrintable } from '../terminal/table.ts'

/** A line for each unfinished run. */
export function toOpenRunLines(runs: readonly OpenRun[], now: Date): string[] {
  return runs.map(({ id, updatedAt, isGoing }) =>
    isGoing
      ? `Run ${id} is at work.`
      : `Run ${id} was cut short ${toRelative(updatedAt, now)}; to go on with it: --resume ${id}`,
  )
}

/** The plays that a run would remove, and whether it would stop because of them. */
export function toUnclaimedLines(unclaimed: Removals | null, width: number): string[] {
  if (!unclaimed) return []
  const { plays, examples, finished, kept, ofPlays, needsPercent } = unclaimed
  const soFar = finished ? '' : ' as far as the range was read'
  const lines =
    kept > 0 ? [`${toPlural(kept, 'play')} that another page claims would become plays of that page.`] : []
  if (plays === 0) return finished ? lines : [...lines, `No play would be removed${soFar}.`]
  lines.push(
    `${toPlural(plays, 'play')} that their page does not claim would be removed${soFar}:`,
    ...examples.map((play) => cut(`  ${toPrintable(toUnclaimedText(play))}`, width)),
    ...(plays > examples.length ? ['  …'] : []),
  )
  if (needsPercent !== null) {
    lines.push(
      `The range has ${toCount(ofPlays ?? 0)} plays: --execute stops before it removes so many, unless --allow-removal ${needsPercent} is given.`,
    )
  }
  return lines
}
