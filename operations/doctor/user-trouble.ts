import { toTable } from '../../cli/terminal/table.ts'
import { consentDaysLeft } from '../../lib/spotify/consent.ts'
import { toCount, toPlural, toRelative, toSpan } from '../../lib/words.ts'
import { neededScope } from '../users/consent.ts'
import type { UserRow } from '../users/report.ts'
import { usualPageMs } from './poll-budget.ts'

/** A user as the doctor sees them. */
export type UserState = Pick<
  UserRow,
  'id' | 'spotifyId' | 'displayName' | 'status' | 'statusReason' | 'authorizedAt' | 'lastOkAt'
> & {
  failures: number
  lastError: string | null
  /** null: the user has no tokens; empty: Spotify never told. */
  scope: string | null
  /** The app that the tokens were given to, where it is not the one that is set; null: it is, or nobody knows. */
  otherApp: string | null
  openGaps: number
}

/** A user in trouble. */
export interface Troubled {
  id: number
  spotifyId: string
  displayName: string | null
  status: UserRow['status']
  /** null: nobody knows when the user agreed. */
  tokenAgeDays: number | null
  consentDaysLeft: number | null
  lastOkAt: Date | null
  openGaps: number
  /** Worst first. */
  troubles: string[]
}

const dayMs = 86_400_000
const warnedDays = 30
/** A few failures in a row are Spotify's daily life. */
const manyFailures = 5

/**
 * What is wrong with a user; null: nothing. A user whom the operator paused is let be, but for open gaps.
 */
export function toTrouble(user: UserState, now: Date): Troubled | null {
  const daysLeft = consentDaysLeft(user.authorizedAt, now)
  const troubles = [
    ...ofStatus(user),
    ...(user.status === 'paused' ? [] : ofConsent(user, daysLeft)),
    ...(user.status === 'active' ? ofPolling(user, now) : []),
    ...(user.openGaps > 0 ? [toPlural(user.openGaps, 'open gap')] : []),
  ]
  if (troubles.length === 0) return null
  const { id, spotifyId, displayName, status, lastOkAt, openGaps } = user
  const { authorizedAt } = user
  const tokenAgeDays =
    authorizedAt && Math.max(0, Math.floor((now.getTime() - authorizedAt.getTime()) / dayMs))
  return {
    ...{ id, spotifyId, displayName, status, tokenAgeDays },
    ...{ consentDaysLeft: daysLeft, lastOkAt, openGaps, troubles },
  }
}

function ofStatus({ status, statusReason }: UserState): string[] {
  if (status !== 'needs_reauth' && status !== 'forbidden') return []
  const what = status === 'forbidden' ? "not on the app's list" : 'token is dead'
  return [statusReason ? `${what}: ${statusReason}` : what]
}

function ofConsent({ scope, status, otherApp }: UserState, daysLeft: number | null): string[] {
  if (scope === null) return ['no tokens']
  if (otherApp !== null) return ['tokens of another app']
  const ending = status === 'active' && (daysLeft ?? 0) <= warnedDays
  const unknown = 'consent of unknown age: it may end any day'
  return [
    ...(scope !== '' && !scope.split(' ').includes(neededScope) ? [`scope lacks ${neededScope}`] : []),
    ...(ending && daysLeft === null ? [unknown] : []),
    ...(ending && daysLeft !== null
      ? [daysLeft > 0 ? `consent ends in ${daysLeft}d` : 'consent has ended']
      : []),
  ]
}

/** A user who was just connected has not been polled yet. */
function ofPolling({ lastOkAt, authorizedAt, failures, lastError }: UserState, now: Date): string[] {
  const since = lastOkAt ?? authorizedAt
  const silentMs = since === null ? 0 : now.getTime() - since.getTime()
  return [
    ...(silentMs > usualPageMs ? [`no poll has worked for ${toSpan(silentMs)}`] : []),
    ...(failures >= manyFailures
      ? [`${failures} polls failed in a row: ${lastError ?? 'no reason given'}`]
      : []),
  ]
}

const toDays = (days: number | null): string => (days === null ? '?' : `${days}d`)

const rowsShown = 20

/** The table of those in trouble; the first ones of many. */
export function toTroubleLines(
  troubled: readonly Troubled[],
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
