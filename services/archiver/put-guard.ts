import { honoursConditions } from '../../lib/archive/conditional-puts.ts'
import { RetriableError } from '../../lib/errors.ts'
import type { Notice } from '../../lib/events.ts'
import type { Health } from '../../lib/health.ts'
import type { S3 } from '../../lib/s3.ts'
import { late, within } from '../../lib/time-limit.ts'

export interface PutGuardOptions {
  s3: S3
  prefix: string
  notify: (notice: Notice) => void
  health: Health
}

/** After this time the test has no result, and the next put tests again. */
const answerWithinMs = 5_000
/** A store that overwrites is tested again after this time, because an operator may have changed it. */
const askedAgainAfterMs = 60_000
const subject = 'object-store'

/**
 * Allows puts only to a store that is proven to honour `If-None-Match`. States: unknown → proven, for the life of the
 * process; or unknown → overwriting, with an event and `/readyz` red → proven.
 */
export class PutGuard {
  readonly #o: PutGuardOptions
  #proven = false
  #overwritesSince: number | null = null
  #asking: Promise<void> | null = null

  constructor(options: PutGuardOptions) {
    this.#o = options
    options.health.register('conditional puts', () => ({
      alive: true,
      ready: this.#overwritesSince === null,
      detail: this.#overwritesSince === null ? 'no object is overwritten' : 'the store ignores If-None-Match',
    }))
  }

  /** @throws RetriableError while the store overwrites objects, or cannot be tested */
  async assertProven(): Promise<void> {
    if (this.#proven) return
    const since = this.#overwritesSince
    if (since === null || performance.now() - since > askedAgainAfterMs) {
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = null
      })
      await this.#asking
    }
    if (!this.#proven) {
      throw new RetriableError('The object store ignores If-None-Match: objects of the archive could be lost')
    }
  }

  async #ask(): Promise<void> {
    const { s3, prefix, notify } = this.#o
    const proven = await within(answerWithinMs, honoursConditions(s3, prefix))
    if (proven === late) {
      throw new RetriableError('The object store does not say whether it honours If-None-Match')
    }
    this.#proven = proven
    const before = this.#overwritesSince
    this.#overwritesSince = this.#proven ? null : performance.now()
    if (!this.#proven && before === null) notify(overwrites)
    if (this.#proven && before !== null) notify(ended)
  }
}

const overwrites: Notice = {
  type: 'store_overwrites',
  subject,
  severity: 'critical',
  message:
    'The object store ignores If-None-Match, so objects of the archive could be overwritten. The archiver puts nothing and waits. Update the store or use another one; songswap doctor --only s3 tries it.',
}

const ended: Notice = {
  ...overwrites,
  severity: 'info',
  state: 'resolved',
  message: 'The object store honours If-None-Match: the archiver goes on.',
}
