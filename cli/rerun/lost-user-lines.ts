import { toPlural, toUtc } from '../../lib/words.ts'
import type { Orphans } from '../../operations/rerun/lost-users.ts'

/** Lines on the user ids that have plays but no account. */
export function toOrphanLines({ ids, isAll, first }: Orphans): string[] {
  if (ids === 0) return []
  const known = isAll ? toPlural(ids, 'user id') : `${ids} user ids or more`
  return [
    `\n${known} with plays and without an account:`,
    ...first.map(({ userId, plays, newest }) => {
      return `  ${userId}: ${toPlural(plays, 'play')}, the newest of ${toUtc(newest)}`
    }),
    ...(ids > first.length ? [`  … and ${ids - first.length} more.`] : []),
    'Give them their ids back before they connect: docs/operations/postgres-was-lost.md',
  ]
}

/** Lines on erased users of whom something is in the database again. */
export function toReturnedLines(users: readonly number[]): string[] {
  if (users.length === 0) return []
  return [
    '\nThese were erased, and something of theirs is in the database again. Erase it:',
    ...users.map((user) => `  songswap account erase ${user} --execute`),
  ]
}
