import { exponentialMs } from '../../lib/backoff.ts'
import { budgetWindowMs, fairInterval, safePollIntervalMs } from '../../lib/spotify/budget-plan.ts'

/** Bounds of the interval, in milliseconds. */
export interface Bounds {
  minIntervalMs: number
  maxIntervalMs: number
}

/** What is left of the request budget, and how many users share it. */
export interface Fairness {
  activeUsers: number
  /** Until the budget's window ends. */
  remainingMs: number
  /** Requests left in it. */
  left: number
}

/** The most plays that Spotify shows. */
export const pageSize = 50
/** The interval is this share of the time since the newest play. */
const idleShare = 0.25
/** The interval is at most half the time of 50 plays at the known pace: the next plays may be faster. */
const safetyShare = 0.5
/** Plays in a row that a pace is measured over: fewer say little. */
const paceRun = 10
const afterFailures = { firstMs: 15_000, longestMs: Number.POSITIVE_INFINITY }

/**
 * Time until a user's next poll after a page: a quarter of the time since their newest play, so short while they
 * listen and long while they do not, but at most {@link safeBound}. A short request budget stretches it to the
 * fair share.
 *
 * @param options.playedAt of the page, newest first, Unix ms
 * @param options.previousNewest newest play of all earlier pages, or null if none is known
 * @param options.jitter 0 to 1: spreads users over a tenth of the interval
 * @returns milliseconds
 */
export function planNext(options: {
  bounds: Bounds
  fairness: Fairness
  playedAt: readonly number[]
  previousNewest: number | null
  now: number
  jitter: number
}): number {
  const { bounds, playedAt, previousNewest, now } = options
  const newest = playedAt[0] ?? previousNewest
  const idleMs =
    newest === null || newest === undefined ? Number.POSITIVE_INFINITY : Math.max(0, now - newest)
  const bound = allIsNew(playedAt, previousNewest) ? bounds.minIntervalMs : safeBound(playedAt, bounds)
  const wanted = spread(Math.min(idleMs * idleShare, bound), options.jitter)
  return stretch(clamp(wanted, bounds.minIntervalMs, bound), options.fairness)
}

/**
 * The longest interval in which 50 plays cannot pass, by the fastest run of plays in the page. Without a run, by the
 * fastest pace that counts at all (30 seconds a play).
 */
export function safeBound(playedAt: readonly number[], bounds: Bounds): number {
  let fastestMs = safePollIntervalMs / (pageSize * safetyShare)
  if (playedAt.length >= paceRun) {
    fastestMs = Number.POSITIVE_INFINITY
    for (let i = paceRun - 1; i < playedAt.length; i++) {
      const span = (playedAt[i - paceRun + 1] ?? 0) - (playedAt[i] ?? 0)
      fastestMs = Math.min(fastestMs, span / (paceRun - 1))
    }
  }
  return clamp(fastestMs * pageSize * safetyShare, bounds.minIntervalMs, bounds.maxIntervalMs)
}

const atOnceMs = 1_000

/**
 * Time until the next try after failures in a row: 15 s, doubled each time, within the bounds. After the first
 * failure it is a second, without the fair share: most failures are a single bad answer, and the next turn may be
 * hours away. If others fail too, it is probably an outage, which a quick retry does not end.
 *
 * @param options.failures this one included
 * @param options.othersFail another user fails too
 */
export function planRetry(options: {
  bounds: Bounds
  fairness: Fairness
  failures: number
  othersFail: boolean
  jitter: number
}): number {
  const { bounds, failures, othersFail } = options
  if (failures === 1 && !othersFail) return atOnceMs
  const wanted = spread(exponentialMs(failures, afterFailures), options.jitter)
  return stretch(clamp(wanted, bounds.minIntervalMs, bounds.maxIntervalMs), options.fairness)
}

/** The longest interval that a user may get now. */
export function longestInterval(fairness: Fairness, bounds: Bounds): number {
  return Math.max(bounds.maxIntervalMs, fairInterval(fairness))
}

/** In the last tenth of a window the requests left vary too much by chance. */
const tellingShare = 0.1
/** Between these two shares the answer stays as it was. */
const shortFrom = 1.2
const enoughFrom = 0.9

/**
 * Whether the budget is too small to poll every user as often as is safe.
 *
 * @param wasShort the answer before: between the thresholds it stays
 * @returns null at the end of a window, when the requests left prove nothing
 */
export function isBudgetShort(
  fairness: Fairness,
  { bounds, wasShort }: { bounds: Bounds; wasShort: boolean },
): boolean | null {
  if (fairness.remainingMs < budgetWindowMs * tellingShare) return null
  const limit = bounds.maxIntervalMs * (wasShort ? enoughFrom : shortFrom)
  return fairness.activeUsers > 0 && fairInterval(fairness) > limit
}

/** Whether a full page shows no known play: plays may have been lost before it, and more may be lost soon. */
function allIsNew(playedAt: readonly number[], previousNewest: number | null): boolean {
  const oldest = playedAt.at(-1)
  return (
    playedAt.length >= pageSize && oldest !== undefined && previousNewest !== null && oldest > previousNewest
  )
}

/** No user gets more than the fair share, so frequent polls of some cannot use up the budget of others. */
function stretch(intervalMs: number, fairness: Fairness): number {
  return Math.max(intervalMs, fairInterval(fairness))
}

function spread(ms: number, jitter: number): number {
  return ms * (0.95 + 0.1 * jitter)
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), Math.max(min, max))
}
