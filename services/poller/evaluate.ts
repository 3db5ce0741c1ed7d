import type { OutcomeType } from '../../lib/spotify/outcome.ts'
import { outcomeRules } from '../../lib/spotify/outcome-rules.ts'

/** How the latest polls went; a user counts with the last one. */
export interface RecentPoll {
  userId: number
  /** Of the monotonic clock. */
  at: number
  result: 'works' | 'fails' | 'refuses'
  /** The endpoint was refused to the app, going by the words. */
  isGated: boolean
}

const massUsers = 3
const recentMs = 10 * 60_000
const recentPolls = 200

/** The list with one more poll, without the user's earlier one and without what is too old. */
export function addRecent(recent: readonly RecentPoll[], poll: RecentPoll): RecentPoll[] {
  const kept = recent.filter((r) => r.userId !== poll.userId && r.at > poll.at - recentMs)
  return [...kept.slice(-(recentPolls - 1)), poll]
}

/**
 * Whether Spotify works: `failing` when it fails for several users and for more of them than it works for.
 * Refusals count only while nobody is served: one who is refused while others are served is refused for themselves.
 *
 * @param underWay polls not ended yet; failures are often the quicker ones, so the others count as successes
 */
export function evaluateRecent(recent: readonly RecentPoll[], underWay: number): 'working' | 'failing' {
  const count = (result: RecentPoll['result']) => recent.filter((r) => r.result === result).length
  const working = count('works') + underWay
  const failed = count('fails') + (count('works') === 0 ? count('refuses') : 0)
  return failed >= massUsers && failed > working ? 'failing' : 'working'
}

/** Polls that count as failures whoever else is served. */
export function failuresOf(recent: readonly RecentPoll[]): RecentPoll[] {
  return recent.filter((poll) => poll.result !== 'refuses')
}

/** A poll for {@link evaluateRecent}, or null if it says nothing about Spotify as a whole. */
export function toRecent(userId: number, type: OutcomeType, at: number): RecentPoll | null {
  const { counts } = outcomeRules[type]
  return counts && { userId, at, result: counts, isGated: type === 'gated' }
}
