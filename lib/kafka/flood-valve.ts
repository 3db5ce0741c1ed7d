import { RetriableError } from '../errors.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { RawRecord } from './record.ts'

export interface FloodLimits {
  /** Share of dead letters among the records of the window above which the valve closes; 1: never. */
  maxRatio: number
  /** Dead letters in the window below which it never closes: a few bad records are no flood. */
  minDeadLetters: number
  /** Records of the partition that the share is taken of: the last ones. */
  windowRecords: number
}

/** Whether each record became a dead letter, in the order of the partition. */
export type Outcome = readonly boolean[]

/** The batch was not settled: its dead letters would be a flood. It is tried again later, whole. */
export class FloodError extends RetriableError {
  constructor(retryAfterMs: number) {
    super('Too many records become dead letters; waiting for the cause to go away', { retryAfterMs })
    this.name = 'FloodError'
  }
}

/**
 * The outcome of a batch. A sink may return dead letters of records that it took earlier: they come last.
 * Empty for a tick at which nothing died.
 */
export function toOutcome(records: readonly RawRecord[], letters: readonly DeadLetter[]): Outcome {
  const taken = new Set(records.map((record) => record.offset))
  const died = new Set(letters.map(({ record }) => record.offset))
  const earlier = [...died].filter((offset) => !taken.has(offset))
  return [...records.map((record) => died.has(record.offset)), ...earlier.map(() => true)]
}

/**
 * Distinguishes a flood of dead letters (a bad deploy, a registry restored empty) from a few bad records. One
 * valve per partition, over its last records.
 *
 * open → closed: a batch would push the share of dead letters over the limit; it is not settled.
 * closed → open: the trial of what was refused gives few enough dead letters, because the cause is gone; or by
 * command, and then everything passes for a while. Nothing else opens it: an idle moment says nothing.
 */
export class FloodValve {
  readonly #limits: FloodLimits
  #window: Outcome = []
  #closed = false

  constructor(limits: FloodLimits) {
    this.#limits = limits
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * Decides whether a batch may be settled; {@link note} follows when it was. While closed, a batch is judged by
   * itself: what led to the closing does not say whether the cause is gone.
   *
   * @param isForced somebody has looked, and wants the dead letters
   * @returns `pass`; `refuse`; or a change of state: `close` (refused) and `reopen` (passed)
   */
  judge(outcome: Outcome, isForced = false): 'pass' | 'refuse' | 'close' | 'reopen' {
    if (outcome.length === 0) return 'pass'
    const wasClosed = this.#closed
    const isRefused = wasClosed ? this.#isBadTrial(outcome) : this.#findsFlood(this.#window, outcome)
    this.#closed = isRefused && !isForced
    if (this.#closed) return wasClosed ? 'refuse' : 'close'
    if (wasClosed) this.#window = []
    return wasClosed ? 'reopen' : 'pass'
  }

  /** Remembers a batch that was settled. One that could not be is judged again, and must not count twice. */
  note(outcome: Outcome): void {
    this.#window = this.#last([...this.#window, ...outcome])
  }

  #isBadTrial(outcome: Outcome): boolean {
    return countDead(outcome) > outcome.length * this.#limits.maxRatio || this.#findsFlood([], outcome)
  }

  /** Whether the window holds a flood after any of the records. */
  #findsFlood(before: Outcome, outcome: Outcome): boolean {
    const { maxRatio, minDeadLetters } = this.#limits
    let window = before
    for (const died of outcome) {
      window = this.#last([...window, died])
      if (!died) continue
      const dead = countDead(window)
      if (dead >= minDeadLetters && dead > window.length * maxRatio) return true
    }
    return false
  }

  #last(outcome: Outcome): Outcome {
    return outcome.slice(-this.#limits.windowRecords)
  }
}

function countDead(outcome: Outcome): number {
  return outcome.reduce((count, died) => count + (died ? 1 : 0), 0)
}
