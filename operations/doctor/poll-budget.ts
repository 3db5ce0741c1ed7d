import {
  budgetWindowMs,
  fairInterval,
  pollingNeed,
  safePollIntervalMs,
} from '../../lib/spotify/budget-plan.ts'
import { toCount, toPlural, toSpan } from '../../lib/words.ts'
import type { State } from './report.ts'

/** 50 plays of three minutes take this long: a user who is polled more rarely loses plays by ordinary listening. */
export const usualPageMs = 50 * 3 * 60_000

/**
 * Whether a day's requests can poll every active user often enough: `warn` if only users who skip tracks would lose
 * plays, `fail` if every user who listens without a pause would.
 */
export function judgeBudget(options: { activeUsers: number; dailyRequests: number }): {
  state: State
  text: string
  hint: string | null
} {
  const { activeUsers, dailyRequests } = options
  const remainingMs = budgetWindowMs
  const need = pollingNeed({ activeUsers, remainingMs })
  const who = toPlural(activeUsers, 'active user')
  if (need <= dailyRequests) {
    const text = `${who}: ${toCount(need)} of ${toCount(dailyRequests)} requests a day poll safely`
    return { state: 'ok', text, hint: null }
  }
  const interval = fairInterval({ activeUsers, remainingMs, left: dailyRequests })
  return {
    state: interval > usualPageMs ? 'fail' : 'warn',
    text: `${toCount(dailyRequests)} requests a day poll ${who} every ${toSpan(interval)}; safe is every ${toSpan(safePollIntervalMs)}`,
    hint: `Set SPOTIFY_DAILY_REQUESTS to ${toCount(need)} if Spotify allows the app as much, or pause users.`,
  }
}
