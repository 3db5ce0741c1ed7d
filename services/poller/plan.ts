import { exponentialMs } from '../../lib/backoff.ts'
import { budgetWindowMs, fairInterval, safePollIntervalMs } from '../../lib/spotify/budget-plan.ts'

/** Bounds of the interval, in milliseconds. */
export interface Bounds {
  minIntervalMs: number
  maxIntervalMs: number
}

/** What is left of the request budget, and for how many. */
export interface Fairness {
  activeUsers: number
  /** Until the budget's window ends. */
  remainingMs: number
  /** Requests left in it. */
  left: number
}

/** Plays that Spotify shows at the most. */
export const pageSize = 50
/** While nothing is played the interval is this share of the silence so far. */
const idleShare = 0.25
/** Only half of the time in which 50 plays could pass may go by: the next stretch may be faster. */
const safetyShare = 0.5
/** Plays in a row from which the pace is taken: fewer say little. */
const paceRun = 10
const afterFailures = { firstMs: 15_000, longestMs: Number.POSITIVE_INFINITY }

/**
 * Time until a user's next poll after a page: a quarter of the silence since their newest play, so short while
 * they listen and long while they do not; never beyond {@link safeBound}; stretched to the fair share when the
 * request budget is short.
 *
 * @param options.playedAt of the page, newest first, Unix ms
 * @param options.previousNewest newest play of the page before, or null if none is known
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
 * The longest interval in which 50 plays cannot pass, going by the fastest run of plays in the page; where the
 * page shows no run, by the fastest that counts at all (30 seconds a play).
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
 * Time until the next try after failures in a row: 15 s, doubled each time, within the bounds. The first one is
 * tried again at once, before the budget's fair share applies: most are a single bad answer, and the next turn may be
 * hours away. Not while others fail as well: then it is an outage, which a second request does not end.
 *
 * @param options.failures this one included
 * @param options.othersFail some other user is failing as well
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

/** The longest that anybody may have to wait now. */
export function longestInterval(fairness: Fairness, bounds: Bounds): number {
  return Math.max(bounds.maxIntervalMs, fairInterval(fairness))
}

/** In the last tenth of a window a few requests more or less are left by chance. */
const tellingShare = 0.1
/** Between the two nothing changes: a day has its ups and downs. */
const shortFrom = 1.2
const enoughFrom = 0.9

/**
 * Whether the budget is too small to poll every user as often as is safe.
 *
 * @param wasShort that was the answer before: it stays so for a while
 * @returns null at the end of a window, when what is left says nothing
 */
export function isBudgetShort(
  fairness: Fairness,
  { bounds, wasShort }: { bounds: Bounds; wasShort: boolean },
): boolean | null {
  if (fairness.remainingMs < budgetWindowMs * tellingShare) return null
  const limit = bounds.maxIntervalMs * (wasShort ? enoughFrom : shortFrom)
  return fairness.activeUsers > 0 && fairInterval(fairness) > limit
}

/** A full page without a single known play: plays may have been lost before it, more may be soon. */
function allIsNew(playedAt: readonly number[], previousNewest: number | null): boolean {
  const oldest = playedAt.at(-1)
  return (
    playedAt.length >= pageSize && oldest !== undefined && previousNewest !== null && oldest > previousNewest
  )
}

/** Everyone waits for the same share: it is never the quick ones who eat up what the others need. */
function stretch(intervalMs: number, fairness: Fairness): number {
  return Math.max(intervalMs, fairInterval(fairness))
}

function spread(ms: number, jitter: number): number {
  return ms * (0.95 + 0.1 * jitter)
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), Math.max(min, max))
}
