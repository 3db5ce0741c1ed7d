/**
 * With polls at least this often no play can be lost, even if a user skips all the time: a page holds 50 plays, a play
 * lasts at least 30 seconds, so a page covers 25 minutes.
 */
export const safePollIntervalMs = 20 * 60_000

/** An access token lives for an hour and is renewed two minutes early, with one request to the accounts service. */
const tokenLifeMs = 58 * 60_000

/** Length of the budget's window. */
export const budgetWindowMs = 24 * 3_600_000

/** Requests that one poll costs on average, including its share of renewing the token. */
export function requestsPerPoll(intervalMs: number): number {
  return 1 + Math.min(1, intervalMs / tokenLifeMs)
}

/** Requests that polling needs until the window ends to poll every user often enough. */
export function pollingNeed(options: { activeUsers: number; remainingMs: number }): number {
  const polls = options.remainingMs / safePollIntervalMs
  return Math.ceil(options.activeUsers * polls * requestsPerPoll(safePollIntervalMs))
}

/** Retries, and users who listen more than others, cost polling some requests beyond its need. */
const pollingMargin = 1.1
/** One more poll for each user: near the end of a window, a single poll makes a difference. */
const lastPoll = 1

/** Enrichment gets requests while all lanes together have used less than this: polling's need and a margin are kept. */
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
