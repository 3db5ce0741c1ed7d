import type kafkajs from 'kafkajs'
import { RetriableError } from '../errors.ts'
import { within } from '../time-limit.ts'

const disconnectWithinMs = 5_000

/**
 * One producer of kafkajs, from its connection to its end. A broker recognises a repeated batch by the producer's id
 * and the batch's sequence number. So a batch that may have been stored is repeated in the session that it was sent
 * in, and a session lives until none of its batches may need a repetition.
 *
 * States: open → retired (takes no new batch) → disconnected (its last user has left).
 */
export class ProducerSession {
  readonly producer: Promise<kafkajs.Producer>
  /** Whether it failed to connect: then nothing was sent in it. */
  failed = false
  #users = 0
  #isRetired = false
  readonly #idle = Promise.withResolvers<void>()
  /** Resolves when it is retired and all users have left. */
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

  /** Disconnects at once, so requests under way fail. Resolves when all users have left, or after a few seconds. */
  async close(): Promise<void> {
    this.#isRetired = true
    await this.#disconnect()
    if (this.#users === 0) return
    await within(disconnectWithinMs, this.ended)
    // kafkajs may connect again while the requests under way end.
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

/** The sessions of one sender. New batches are sent in the current one, which is opened when it is needed. */
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

  /** Enters new batches into the current session, one user for each, and returns it. */
  enter(batches: number): ProducerSession {
    if (!this.#current || this.#current.failed) {
      this.#current?.retire()
      this.#current = this.#open()
    }
    return this.#current.enter(batches)
  }

  /** Makes a session take no new batch. */
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
