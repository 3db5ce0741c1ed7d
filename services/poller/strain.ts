import type { Logger } from '../../lib/log.ts'
import type { Outages } from '../../lib/outages.ts'

const waiter = { name: 'poller', place: null }
const firstMs = 1_000
/** A failed pass costs nothing; a page that cannot be published has cost a request of the budget. */
const longestMs = { pass: 30_000, poll: 300_000 }

type Cause = keyof typeof longestMs

/** The backoff of polling while Kafka or Postgres are away: doubled by each failure, reset by a success. */
export class Strain {
  readonly #outages: Pick<Outages, 'failed' | 'worked'>
  readonly #log: Logger
  #waitMs = 0
  #until = 0
  #cause: Cause = 'pass'

  constructor({ outages, log }: { outages: Pick<Outages, 'failed' | 'worked'>; log: Logger }) {
    this.#outages = outages
    this.#log = log
  }

  /** The wait after the last failure, or 0 when all works. */
  get waitMs(): number {
    return this.#waitMs
  }

  /** What is left of it. */
  get leftMs(): number {
    return Math.max(this.#until - performance.now(), 0)
  }

  /** Polls under way fail together, so failures during a wait do not extend it. */
  failed(err: unknown, cause: Cause): void {
    this.#outages.failed(waiter, err)
    if (this.leftMs > 0) return
    this.#waitMs = Math.min(Math.max(this.#waitMs * 2, firstMs), longestMs[cause])
    this.#until = performance.now() + this.#waitMs
    this.#cause = cause
    this.#log.warn({ err, by: cause, waitMs: this.#waitMs }, 'polling_strained')
  }

  /** A pass that works ends the strain of passes; only a poll that works ends the strain of polls. */
  worked(cause: Cause): void {
    if (cause === 'pass' && this.#cause === 'poll') return
    this.#waitMs = this.#until = 0
    this.#outages.worked(waiter)
  }
}
