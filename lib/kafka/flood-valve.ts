import { RetriableError } from '../errors.ts'

export interface FloodLimits {
  /** Share of dead letters among the records of the window above which the valve closes; 1: never. */
  maxRatio: number
  /** Dead letters in the window below which it never closes: a few bad records are no flood. */
  minDeadLetters: number
  windowMs: number
}

/** How a batch ended: how many of its records became dead letters. */
export interface BatchOutcome {
  records: number
  deadLetters: number
}

/** The batch was not settled: its dead letters would be a flood. It is tried again later, whole. */
export class FloodError extends RetriableError {
  constructor(retryAfterMs: number) {
    super('Too many records become dead letters; waiting for the cause to go away', { retryAfterMs })
    this.name = 'FloodError'
  }
}

/**
 * Tells a flood of dead letters (a bad deploy, a registry restored empty) from a few bad records. One valve per
 * consumer group and process.
 *
 * open → closed: a batch would push the share of dead letters in the window over the limit; it is not settled.
 * closed → open: a trial of a batch gives few enough dead letters, because the cause is gone; or by command,
 * and then everything passes for a while.
 */
export class FloodValve {
  readonly #limits: FloodLimits
  /** Outcomes by second, oldest first. */
  #window: (BatchOutcome & { second: number })[] = []
  #closed = false
  #forcedUntil = 0

  constructor(limits: FloodLimits) {
    this.#limits = limits
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Lets everything pass until a time: somebody has looked, and wants the dead letters. */
  force(until: number): void {
    this.#forcedUntil = until
  }

  /**
   * Decides whether a batch may be settled, and remembers it if so. While closed, a batch is judged by itself:
   * what led to the closing says nothing about whether the cause is gone.
   *
   * @param now Unix time in milliseconds
   * @returns `pass`; `refuse`; or a change of state: `close` (refused) and `reopen` (passed)
   */
  judge(batch: BatchOutcome, now: number): 'pass' | 'refuse' | 'close' | 'reopen' {
    const { maxRatio, minDeadLetters } = this.#limits
    if (this.#closed) {
      if (now >= this.#forcedUntil && batch.deadLetters > batch.records * maxRatio) return 'refuse'
      this.#closed = false
      this.#window = []
      this.#remember(batch, now)
      return 'reopen'
    }
    this.#forget(now)
    const { records, deadLetters } = this.#sumWith(batch)
    const isFlood = deadLetters >= minDeadLetters && deadLetters > records * maxRatio
    if (batch.deadLetters > 0 && isFlood && now >= this.#forcedUntil) {
      this.#closed = true
      return 'close'
    }
    this.#remember(batch, now)
    return 'pass'
  }

  #forget(now: number): void {
    const oldest = Math.floor((now - this.#limits.windowMs) / 1000)
    while (this.#window[0] && this.#window[0].second <= oldest) this.#window.shift()
  }

  #sumWith(batch: BatchOutcome): BatchOutcome {
    return this.#window.reduce(
      (sum, s) => ({ records: sum.records + s.records, deadLetters: sum.deadLetters + s.deadLetters }),
      batch,
    )
  }

  #remember({ records, deadLetters }: BatchOutcome, now: number): void {
    const second = Math.floor(now / 1000)
    const last = this.#window.at(-1)
    if (last?.second === second) {
      last.records += records
      last.deadLetters += deadLetters
    } else this.#window.push({ second, records, deadLetters })
  }
}
