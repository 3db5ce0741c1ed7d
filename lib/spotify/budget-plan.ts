/**
 * With a poll at least this often no play can be lost, however fast somebody skips: 50 plays of the 30 seconds
 * that make a play last 25 minutes.
 */
export const safePollIntervalMs = 20 * 60_000

/** An access token lives for an hour and is renewed two minutes early: one request to the accounts service each. */
const tokenLifeMs = 58 * 60_000

/** Length of the budget's window. */
export const budgetWindowMs = 24 * 3_600_000

/** Requests that one poll costs on average, its share of the token's renewal included. */
export function requestsPerPoll(intervalMs: number): number {
  return 1 + Math.min(1, intervalMs / tokenLifeMs)
}

/** Requests that polling needs until the window ends so that every user is polled often enough to be safe. */
export function pollingNeed(options: { activeUsers: number; remainingMs: number }): number {
  const polls = options.remainingMs / safePollIntervalMs
  return Math.ceil(options.activeUsers * polls * requestsPerPoll(safePollIntervalMs))
}

/** Second tries, and users who listen more than others, cost polling some requests beyond its need. */
const pollingMargin = 1.1
/** Towards the end of a window one poll more or less decides: a last one for each user. */
const lastPoll = 1

/** What all lanes together may have used for enrichment to get more: polling's need comes first, with a margin. */
export function enrichmentCap(options: {
  dailyRequests: number
  activeUsers: number
  remainingMs: number
}): number {
  const { dailyRequests, activeUsers } = options
  return dailyRequests - Math.floor(pollingNeed(options) * pollingMargin + lastPoll * activeUsers)
}

/**
 * The interval at which all active users can be polled until the window ends with what is left of the budget.
 *
 * @returns milliseconds; the rest of the window when nothing is left
 */
export function fairInterval(options: { activeUsers: number; remainingMs: number; left: number }): number {
  const { activeUsers, remainingMs, left } = options
  if (left <= 0) return remainingMs
  // Solves interval = remaining × users × requestsPerPoll(interval) ÷ left; where that has no solution below
  // the token's life, every poll renews the token and costs two.
  const perRequest = (remainingMs * activeUsers) / left
  const slope = perRequest / tokenLifeMs
  const interval = slope < 0.5 ? perRequest / (1 - slope) : 2 * perRequest
  return Math.min(interval, remainingMs)
}
