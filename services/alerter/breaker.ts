import { exponentialMs } from '../../lib/backoff.ts'

/** Why the webhook takes nothing; while it is `dead` nothing may be posted at all. */
export interface Refusal {
  type: 'dead' | 'closed'
  detail: string
  /** Not asked again before; a moment of `performance.now()`. */
  until: number
  /** How often it was asked since. */
  tries: number
}

/** Attempts at a dead webhook are punished: it is looked at, not posted to, and seldom. */
const lookAgainMs = 3_600_000
const whileClosed = { firstMs: 5_000, longestMs: 300_000 }

/** The refusal after another one: a closed channel is tried after 5 s, 10 s, 20 s … 5 minutes, a dead webhook hourly. */
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

/** After a look that did not say whether the webhook is dead: 429, 5xx, or no answer. */
export function afterUnclearLook(refusal: Refusal, now: number): Refusal {
  return { ...refusal, until: now + lookSoonMs }
}
