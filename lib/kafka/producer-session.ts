import type kafkajs from 'kafkajs'
import { within } from '../time-limit.ts'

const disconnectWithinMs = 5_000

/**
 * One producer of kafkajs, from its connection to its end. A broker knows a repetition of a batch by the producer's
 * id and the batch's number: so a batch that may have been stored is repeated in the session that it was sent in, and
 * a session lives until nobody in it has anything left to repeat.
 *
 * States: open → retired (takes no new batch) → disconnected (the last of its users has left).
 */
export class ProducerSession {
  readonly producer: Promise<kafkajs.Producer>
  /** It never connected: nothing was sent in it. */
  failed = false
  #users = 0
  #isRetired = false
  readonly #idle = Promise.withResolvers<void>()
  /** Resolves when it is retired and all have left. */
  readonly ended: Promise<void> = this.#idle.promise

  constructor(open: () => Promise<kafkajs.Producer>) {
    this.producer = open()
    this.producer.catch(() => {
      this.failed = true
    })
  }

  enter(): this {
    this.#users++
    return this
  }

  leave(): void {
    this.#users--
    this.#endWhenIdle()
  }

  retire(): void {
    this.#isRetired = true
    this.#endWhenIdle()
  }

  /** Disconnects at once: what is under way fails. Resolves when all have left, or after a few seconds. */
  async close(): Promise<void> {
    this.#isRetired = true
    await this.#disconnect()
    if (this.#users === 0) return
    await within(disconnectWithinMs, this.ended)
    // kafkajs connects again while it ends what was under way.
    await this.#disconnect()
  }

  #endWhenIdle(): void {
    if (!this.#isRetired || this.#users > 0) return
    this.#idle.resolve()
    void this.#disconnect()
  }

  async #disconnect(): Promise<void> {
    const disconnected = this.producer.then((producer) => producer.disconnect())
    await within(
      disconnectWithinMs,
      disconnected.catch(() => undefined),
    )
  }
}
