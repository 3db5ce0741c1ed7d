import { consentDaysLeft } from '../../lib/spotify/consent.ts'
import { toPlural, toSpan } from '../../lib/words.ts'
import { neededScope } from '../users/consent.ts'
import type { UserRow } from '../users/report.ts'
import { usualPageMs } from './poll-budget.ts'
import type { TroubledUser } from './report.ts'

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

const dayMs = 86_400_000
const warnedDays = 30
/** A few failures in a row are Spotify's daily life. */
const manyFailures = 5

/**
 * What is wrong with a user; null: nothing. A user whom the operator paused is let be, but for open gaps.
 */
export function toTrouble(user: UserState, now: Date): TroubledUser | null {
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
