/**
 * Refresh tokens die six months after the consent, also if they are used
 * (https://developer.spotify.com/blog/2026-06-18-refresh-token-expiration); counted as 180 days.
 */
const consentDays = 180
const dayMs = 86_400_000

/** Days before the end of a consent at which a warning is published, each once. */
const warningDays = [1, 7, 30] as const

export type WarningDays = (typeof warningDays)[number]

/** When a consent ends. */
export function consentEndsAt(authorizedAt: Date): Date {
  return new Date(authorizedAt.getTime() + consentDays * dayMs)
}

/** Consents that were given after this moment have not ended. */
export function consentsLiveFrom(now: Date): Date {
  return new Date(now.getTime() - consentDays * dayMs)
}

/** Whole days until a consent ends, never negative; null if it is not known when it was given. */
export function consentDaysLeft(authorizedAt: Date, now: Date): number
export function consentDaysLeft(authorizedAt: Date | null, now: Date): number | null
export function consentDaysLeft(authorizedAt: Date | null, now: Date): number | null {
  if (authorizedAt === null) return null
  return Math.max(0, Math.floor((consentEndsAt(authorizedAt).getTime() - now.getTime()) / dayMs))
}

/**
 * The warning that is due for a consent: the smallest of 1, 7 and 30 days within which it ends. Earlier warnings that
 * were missed, because no process ran, are skipped.
 *
 * @param authorizedAt null if not known, which counts as old
 * @param told the last warning of this consent that was published, or null if none was
 * @returns null if none is due, or if it was published
 */
export function dueWarning(
  authorizedAt: Date | null,
  { now, told }: { now: Date; told: number | null },
): WarningDays | null {
  const leftMs = authorizedAt === null ? 0 : consentEndsAt(authorizedAt).getTime() - now.getTime()
  const due = warningDays.find((days) => leftMs <= days * dayMs) ?? null
  return due !== null && (told === null || told > due) ? due : null
}

/** Consents given before this moment may have a warning due. */
export function warnedBefore(now: Date): Date {
  return new Date(now.getTime() - (consentDays - Math.max(...warningDays)) * dayMs)
}
