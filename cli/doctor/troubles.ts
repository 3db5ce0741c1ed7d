import { toCount, toRelative } from '../../lib/words.ts'
import type { TroubledUser } from '../../operations/doctor/report.ts'
import { toTable } from '../terminal/table.ts'

const toDays = (days: number | null): string => (days === null ? '?' : `${days}d`)

const rowsShown = 20

/** A table of the first users in trouble, and how many more there are. */
export function toTroubleLines(
  troubled: readonly TroubledUser[],
  { now, width }: { now: Date; width: number },
): string[] {
  const table = toTable(
    [
      { title: 'ID', align: 'right' },
      { title: 'NAME', shrinks: true },
      { title: 'STATUS' },
      { title: 'AGE', align: 'right' },
      { title: 'LEFT', align: 'right' },
      { title: 'LAST OK', align: 'right' },
      { title: 'TROUBLE', shrinks: true },
    ],
    troubled
      .slice(0, rowsShown)
      .map((user) => [
        String(user.id),
        user.displayName ?? user.spotifyId,
        user.status,
        toDays(user.tokenAgeDays),
        toDays(user.consentDaysLeft),
        toRelative(user.lastOkAt, now),
        user.troubles.join('; '),
      ]),
    width,
  )
  const more = troubled.length - rowsShown
  return more > 0 ? [...table, `and ${toCount(more)} more: songswap doctor --only users --json`] : table
}
