import type { Outcome, RequestLane } from './outcome.ts'

/** A pause to store. */
export interface Pause {
  lanes: readonly RequestLane[]
  /** Its length. With `maxMs`, the length of the first pause in a row; each further one is twice as long. */
  ms: number
  /** The longest pause in a row, or null if Spotify asked for exactly `ms`. */
  maxMs: number | null
  reason: string
}

const second = 1_000
const minute = 60 * second

/**
 * Up to this length a wait comes from the rolling rate limit, which counts the whole app; a longer one is a penalty.
 */
const longWaitMs = minute

const apiLanes: readonly RequestLane[] = ['polling', 'enrichment']

/**
 * Which lanes an answer pauses, and for how long; null if none.
 *
 * | answer | lanes | length |
 * |---|---|---|
 * | QUOTA_EXCEEDED | its own: quotas are counted per group of endpoints | Retry-After, else 10 min to 6 h |
 * | 429, Retry-After up to a minute | both of the API | Retry-After |
 * | 429, longer, while polling | both of the API | Retry-After |
 * | 429, longer, while enriching | its own: polling cannot wait, and finds its own limit | Retry-After |
 * | 429 without Retry-After | both of the API | 2 s to 10 min |
 * | Premium lapsed | both of the API | 10 min to 1 h |
 * | 429 of the token endpoint | accounts | Retry-After, else 2 s to 10 min |
 * | invalid_client | accounts | 1 to 15 min |
 */
export function toPause(lane: RequestLane, outcome: Outcome): Pause | null {
  const reason = outcome.type
  switch (outcome.type) {
    case 'quota_exceeded':
      return { lanes: [lane], reason, ...lengthOf(outcome.retryAfterMs, 10 * minute, 360 * minute) }
    case 'rate_limited':
      return {
        lanes: lanesOfRateLimit(lane, outcome.retryAfterMs),
        reason,
        ...lengthOf(outcome.retryAfterMs, 2 * second, 10 * minute),
      }
    case 'premium_lapsed':
      return { lanes: apiLanes, reason, ms: 10 * minute, maxMs: 60 * minute }
    case 'invalid_client':
      return { lanes: ['accounts'], reason, ms: minute, maxMs: 15 * minute }
    default:
      return null
  }
}

function lanesOfRateLimit(lane: RequestLane, retryAfterMs: number | null): readonly RequestLane[] {
  if (lane === 'accounts') return [lane]
  return lane === 'enrichment' && retryAfterMs !== null && retryAfterMs > longWaitMs ? [lane] : apiLanes
}

function lengthOf(retryAfterMs: number | null, baseMs: number, maxMs: number): Pick<Pause, 'ms' | 'maxMs'> {
  return retryAfterMs === null ? { ms: baseMs, maxMs } : { ms: retryAfterMs, maxMs: null }
}
