import { exponentialMs } from '../../lib/backoff.ts'

/** Why the webhook takes nothing; while it is `dead`, nothing may be posted. */
export interface Refusal {
  type: 'dead' | 'closed'
  detail: string
  /** The earliest time of the next try; a moment of `performance.now()`. */
  until: number
  /** How many times in a row it has refused in this way. */
  tries: number
}

/** Discord punishes posts to a dead webhook: it is only checked with a GET, and seldom. */
const lookAgainMs = 3_600_000
const whileClosed = { firstMs: 5_000, longestMs: 300_000 }

/** The next refusal: a closed channel is tried again after 5 s, 10 s, 20 s … 5 minutes, a dead webhook hourly. */
export function toRefusal(
  before: Refusal | null,
  { type, detail }: Pick<Refusal, 'type' | 'detail'>,
  now: number,
): Refusal {
  const tries = before?.type === type ? before.tries + 1 : 1
  const waitMs = type === 'dead' ? lookAgainMs : exponentialMs(tries, whileClosed)
  return { type, detail, until: now + waitMs, tries }
}

const lookSoonMs = 60_000

/** The refusal after a check that did not show whether the webhook is dead: 429, 5xx, or no answer. */
export function afterUnclearLook(refusal: Refusal, now: number): Refusal {
  return { ...refusal, until: now + lookSoonMs }
}
