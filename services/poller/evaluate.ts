import type { Outcome, OutcomeType } from '../../lib/spotify/outcome.ts'
import { isOutage } from '../../lib/spotify/outcome.ts'

/**
 * What an answer that is no page means for the user:
 *
 * | verdict | then |
 * |---|---|
 * | `dead_token` | asked once more, then parked, unless many users fail so |
 * | `missing_scope` | parked as `needs_reauth` |
 * | `not_listed` | parked as `forbidden` |
 * | `app` | the app as a whole is stopped; nothing is the user's fault |
 * | `retry` | tried again with back-off |
 */
export type Verdict = 'dead_token' | 'missing_scope' | 'not_listed' | 'app' | 'retry'

export function toVerdict(outcome: Outcome): Verdict {
  switch (outcome.type) {
    case 'invalid_grant':
      return 'dead_token'
    case 'missing_scope':
      return 'missing_scope'
    case 'user_not_listed':
      return 'not_listed'
    case 'premium_lapsed':
    case 'quota_exceeded':
    case 'rate_limited':
    case 'invalid_client':
      return 'app'
    default:
      return 'retry'
  }
}

/** Users whose refresh token was refused, and others whose token was renewed, within one stretch of time. */
export interface RefreshCount {
  failing: number
  renewed: number
}

const massUsers = 3
const massShare = 0.3
/** An "outage" that lasts so long for a user is none: their token is dead. */
export const believeAfterMs = 24 * 3_600_000

/**
 * Whether a refused refresh token is the user's or Spotify's: the accounts service has called living tokens
 * dead before, for nearly everybody at once.
 *
 * @param counts of a short and a long stretch: an outage that begins shows in the short one first, in a small
 *   installation only the long one holds enough users
 * @param failingForMs since the first refusal of this user
 */
export function evaluateDeadToken(counts: readonly RefreshCount[], failingForMs: number): 'user' | 'outage' {
  if (failingForMs >= believeAfterMs) return 'user'
  const mass = counts.some(
    ({ failing, renewed }) => failing >= massUsers && failing > massShare * (failing + renewed),
  )
  return mass ? 'outage' : 'user'
}

/** How the latest polls went; a user counts with the last one. */
export interface RecentPoll {
  userId: number
  at: number
  result: 'ok' | 'outage' | 'gated'
}

const recentMs = 10 * 60_000
const recentPolls = 200

/** The list with one more poll, without the user's earlier one and without what is too old. */
export function addRecent(recent: readonly RecentPoll[], poll: RecentPoll): RecentPoll[] {
  const kept = recent.filter((r) => r.userId !== poll.userId && r.at > poll.at - recentMs)
  return [...kept.slice(-(recentPolls - 1)), poll]
}

/**
 * Whether Spotify works: `failing` when it fails for several users and for more of them than it works for.
 *
 * @param underWay polls not ended yet; failures are often the quicker ones, so the others count as successes
 */
export function evaluateRecent(recent: readonly RecentPoll[], underWay: number): 'working' | 'failing' {
  const ok = recent.filter((r) => r.result === 'ok').length
  const failed = recent.length - ok
  return failed >= massUsers && failed > ok + underWay ? 'failing' : 'working'
}

/** How a poll counts for {@link evaluateRecent}; null: it says nothing about Spotify as a whole. */
export function toRecentResult(type: OutcomeType): RecentPoll['result'] | null {
  if (type === 'ok' || type === 'gated') return type
  return isOutage({ type }) || type === 'refused' ? 'outage' : null
}

const hourMs = 3_600_000

/** A parked user is tried again after an hour and then once a day: what parked them may not have been true. */
export function toProbeDelay(options: { justParked: boolean }): number {
  return options.justParked ? hourMs : 24 * hourMs
}
