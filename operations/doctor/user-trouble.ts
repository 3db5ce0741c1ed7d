import { consentDaysLeft } from '../../lib/spotify/consent.ts'
import { toPlural, toSpan } from '../../lib/words.ts'
import { neededScope } from '../users/consent.ts'
import type { UserRow } from '../users/report.ts'
import { usualPageMs } from './poll-budget.ts'
import type { TroubledUser } from './report.ts'

/** A user's state, as far as the doctor judges it. */
export type UserState = Pick<
  UserRow,
  'id' | 'spotifyId' | 'displayName' | 'status' | 'statusReason' | 'authorizedAt' | 'lastOkAt'
> & {
  failures: number
  lastError: string | null
  /** Null if the user has no tokens; empty if Spotify never reported it. */
  scope: string | null
  /** The app that got the tokens if it is not SPOTIFY_CLIENT_ID; null if it is the same, or unknown. */
  otherApp: string | null
  openGaps: number
}

const dayMs = 86_400_000
const warnedDays = 30
/** A few failures in a row are normal with Spotify. */
const manyFailures = 5

/**
 * A user's troubles, or null if there are none. For a user whom an operator paused, only open gaps count.
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

/** A user who was just connected has not been polled yet: then the time counts from the consent. */
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
