import type { OutcomeType } from '../../lib/spotify/outcome.ts'
import { outcomeRules } from '../../lib/spotify/outcome-rules.ts'

/** A recent poll; only the last one of a user counts. */
export interface RecentPoll {
  userId: number
  /** A moment of `performance.now()`. */
  at: number
  result: 'works' | 'fails' | 'refuses'
  /** By its message, the answer refuses the endpoint to the app. */
  isGated: boolean
}

const massUsers = 3
const recentMs = 10 * 60_000
const recentPolls = 200

/** Adds a poll to the list; the user's earlier one and what is too old go. */
export function addRecent(recent: readonly RecentPoll[], poll: RecentPoll): RecentPoll[] {
  const kept = recent.filter((r) => r.userId !== poll.userId && r.at > poll.at - recentMs)
  return [...kept.slice(-(recentPolls - 1)), poll]
}

/**
 * Whether Spotify works: `failing` when it fails for several users, and for more than it works for. Refusals
 * count only while no user is served; otherwise each refusal is about its own user.
 *
 * @param underWay polls not ended yet; they count as successes, because failures often end sooner
 */
export function evaluateRecent(recent: readonly RecentPoll[], underWay: number): 'working' | 'failing' {
  const count = (result: RecentPoll['result']) => recent.filter((r) => r.result === result).length
  const working = count('works') + underWay
  const failed = count('fails') + (count('works') === 0 ? count('refuses') : 0)
  return failed >= massUsers && failed > working ? 'failing' : 'working'
}

/** Polls without refusals: what counts even while other users are served. */
export function failuresOf(recent: readonly RecentPoll[]): RecentPoll[] {
  return recent.filter((poll) => poll.result !== 'refuses')
}

/** A poll for {@link evaluateRecent}, or null if it says nothing about Spotify as a whole. */
export function toRecent(userId: number, type: OutcomeType, at: number): RecentPoll | null {
  const { counts } = outcomeRules[type]
  return counts && { userId, at, result: counts, isGated: type === 'gated' }
}
