import { RetriableError } from '../errors.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { RawRecord } from './record.ts'

export interface FloodLimits {
  /** The valve closes above this share of dead letters in the window; with 1 it never does. */
  maxRatio: number
  /** It never closes below this number of dead letters in the window: a few bad records are not a flood. */
  minDeadLetters: number
  /** Size of the window: the last records of the partition. */
  windowRecords: number
}

/** Whether each record became a dead letter, in the order of the partition. */
export type Outcome = readonly boolean[]

/** The batch was not settled, because its dead letters would be a flood. All of it is tried again later. */
export class FloodError extends RetriableError {
  constructor(retryAfterMs: number) {
    super('Too many records become dead letters; waiting for the cause to go away', { retryAfterMs })
    this.name = 'FloodError'
  }
}

/**
 * The outcome of a batch. Dead letters of records that the sink took earlier come last. Empty for a tick without dead
 * letters.
 */
export function toOutcome(records: readonly RawRecord[], letters: readonly DeadLetter[]): Outcome {
  const taken = new Set(records.map((record) => record.offset))
  const died = new Set(letters.map(({ record }) => record.offset))
  const earlier = [...died].filter((offset) => !taken.has(offset))
  return [...records.map((record) => died.has(record.offset)), ...earlier.map(() => true)]
}

/**
 * Distinguishes a flood of dead letters (a bad deploy, a registry restored empty) from a few bad records. Each
 * partition has a valve, which judges its last records.
 *
 * open → closed: a batch would push the share of dead letters over the limit; it is not settled.
 * closed → open: a trial of the refused batch yields few enough dead letters, because the cause is gone; or an operator
 * forces it, and everything passes for a while. An idle moment does not open it.
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
   * Decides whether a batch may be settled; call {@link note} when it was. While closed, the valve judges a batch by
   * itself: the records that closed it do not show whether the cause is gone.
   *
   * @param isForced an operator accepts the dead letters
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

  /** Counts a settled batch. One that was not settled is judged again, and must not count twice. */
  note(outcome: Outcome): void {
    this.#window = this.#last([...this.#window, ...outcome])
  }

  #isBadTrial(outcome: Outcome): boolean {
    return countDead(outcome) > outcome.length * this.#limits.maxRatio || this.#findsFlood([], outcome)
  }

  /** Whether the window holds a flood after any record of the outcome. */
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
