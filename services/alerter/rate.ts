/**
 * Keeps the posts of this process below Discord's rate: at most `perMinute` in any 60 seconds, and none before the
 * end of a pause that Discord asked for. The caller passes times of `performance.now()`.
 */
export class MessageRate {
  readonly #perMinute: number
  #sent: number[] = []
  #heldUntil = 0

  constructor(perMinute: number) {
    this.#perMinute = perMinute
  }

  /** Milliseconds until the next post is allowed. */
  waitMs(now: number): number {
    this.#sent = this.#sent.filter((at) => at > now - windowMs)
    const oldest = this.#sent[0]
    const full = this.#sent.length >= this.#perMinute && oldest !== undefined ? oldest + windowMs - now : 0
    return Math.max(0, full, this.#heldUntil - now)
  }

  /** Counts a post; failed ones too, because Discord counts requests. */
  took(now: number): void {
    this.#sent.push(now)
  }

  /** Allows no post before `until`; never shortens a pause. */
  hold(until: number): void {
    this.#heldUntil = Math.max(this.#heldUntil, until)
  }
}

/** A little more than a minute, because posts sent within a minute may arrive within less. */
const windowMs = 62_000
