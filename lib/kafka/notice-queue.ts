import { backoffMs, pause } from '../backoff.ts'
import { isRecordFault, messageOf } from '../errors.ts'
import type { Notice } from '../events.ts'
import type { Logger } from '../log.ts'
import type { Resource } from '../scope.ts'
import { within } from '../time-limit.ts'

/** Most waiting notices; any beyond them are in the log only. */
const waitingMax = 1_000
const closeWithinMs = 2_000

/**
 * Publishes notices in order; holds them in memory until Kafka takes them. A notice that Kafka refuses for good is
 * dropped, so it does not hold up the others.
 */
export class NoticeQueue implements Resource {
  readonly #publish: (notice: Notice, at: number) => Promise<void>
  readonly #log: Logger
  readonly #stop = new AbortController()
  readonly #waiting: { notice: Notice; at: number }[] = []
  #running: Promise<void> | null = null

  /** @param publish takes a notice and its time in Unix ms */
  constructor(publish: (notice: Notice, at: number) => Promise<void>, log: Logger) {
    this.#publish = publish
    this.#log = log
  }

  add(notice: Notice): void {
    this.#log.error({ ...notice }, 'notice')
    if (this.#waiting.length < waitingMax) this.#waiting.push({ notice, at: Date.now() })
    this.#running ??= this.#run()
  }

  /** Waits two seconds for Kafka; notices that it has not taken by then are in the log only. */
  async close(): Promise<void> {
    if (this.#running) await within(closeWithinMs, this.#running)
    this.#stop.abort()
  }

  async #run(): Promise<void> {
    let failures = 0
    for (let next = this.#waiting[0]; next && !this.#stop.signal.aborted; next = this.#waiting[0]) {
      try {
        await this.#publish(next.notice, next.at)
        this.#waiting.shift()
        failures = 0
      } catch (error) {
        if (isRecordFault(error)) this.#waiting.shift()
        failures += 1
        this.#log.warn({ reason: messageOf(error), waiting: this.#waiting.length }, 'event_not_published')
        await pause(backoffMs(failures), this.#stop.signal)
      }
    }
    this.#running = null
  }
}
