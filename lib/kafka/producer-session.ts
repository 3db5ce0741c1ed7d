import type kafkajs from 'kafkajs'
import { RetriableError } from '../errors.ts'
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

  constructor(producer: Promise<kafkajs.Producer>) {
    this.producer = producer
    producer.catch(() => {
      this.failed = true
    })
  }

  /** @param users one for each batch */
  enter(users = 1): this {
    this.#users += users
    return this
  }

  leave(users = 1): void {
    this.#users -= users
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

/** The sessions of one sender: new batches go in the current one, which is opened when it is needed. */
export class ProducerSessions {
  readonly #connect: () => Promise<kafkajs.Producer>
  readonly #sessions = new Set<ProducerSession>()
  #current: ProducerSession | null = null
  #isClosed = false

  constructor(connect: () => Promise<kafkajs.Producer>) {
    this.#connect = connect
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** The session that new batches are sent in, with one user more for each of them. */
  enter(batches: number): ProducerSession {
    if (!this.#current || this.#current.failed) {
      this.#current?.retire()
      this.#current = this.#open()
    }
    return this.#current.enter(batches)
  }

  /** Takes no new batch. */
  retire(session: ProducerSession): void {
    if (this.#current === session) this.#current = null
    session.retire()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#current = null
    await Promise.all([...this.#sessions].map((session) => session.close()))
  }

  #open(): ProducerSession {
    const connected = this.#isClosed
      ? Promise.reject(new RetriableError('The producer is closing'))
      : this.#connect()
    const session = new ProducerSession(connected)
    this.#sessions.add(session)
    void session.ended.then(() => this.#sessions.delete(session))
    return session
  }
}
