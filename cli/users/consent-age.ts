/**
 * Refresh tokens die six months after the consent, whatever is done with them
 * (https://developer.spotify.com/blog/2026-06-18-refresh-token-expiration); counted as 180 days.
 */
const consentDays = 180
const dayMs = 86_400_000

/** Whole days until a consent ends; never negative. */
export function consentDaysLeft(authorizedAt: Date, now: Date): number {
  const left = authorizedAt.getTime() + consentDays * dayMs - now.getTime()
  return Math.max(0, Math.floor(left / dayMs))
}
