import kafkajs from 'kafkajs'
import { exponentialMs, pause } from '../backoff.ts'
import { isRecordFault, messageOf, RetriableError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Resource } from '../scope.ts'
import { late, within } from '../time-limit.ts'
import { kafkaErrorType } from './broker-error.ts'
import type { PartitionMessage } from './partition-queue.ts'
import type { ProducerSession } from './producer-session.ts'
import { ProducerSessions } from './producer-session.ts'

/** Records of one topic, with their partitions, for one request that all in-sync replicas acknowledge. */
export interface Request {
  session: ProducerSession
  topic: string
  messages: readonly PartitionMessage[]
  /** A moment of `performance.now()`. */
  giveUpAt: number
}

/**
 * A message with its guard. kafkajs passes a message unchanged to the partitioner, before each of its attempts, and
 * later to the encoder: both check the guard.
 */
type GuardedMessage = PartitionMessage & { guard: Guard }

interface Guard {
  /** The broker that must lead the partition; undefined for any. */
  leader: number | undefined
  /** @throws when the message must not be sent any more */
  beforeEncoding: () => void
  /** The messages that kafkajs has tried, if it may try each only once; null if it may retry. */
  tried: Set<kafkajs.Message> | null
}

const betweenAttempts = { firstMs: 200, longestMs: 3_000 }

/** Broker errors after which an idempotent producer cannot go on, because kafkajs cannot bump its epoch. */
const brokenSequence = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'DUPLICATE_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
])

/**
 * Sends batches with idempotent producers of kafkajs, and keeps three rules that kafkajs itself does not:
 *
 * - One leader per request. kafkajs loses records of a request to several leaders when leadership moves
 *   (tulios/kafkajs#1303), and stores records twice when one of the leaders fails.
 * - A batch is retried unchanged and in the session that it was sent in: the broker recognises a repetition only by
 *   the producer's id, the sequence number and the length.
 * - After a batch is abandoned, its partition goes on in another session. In the same one, the next batch would have
 *   the sequence number of the abandoned batch; if the broker has stored that one after all, it would acknowledge the
 *   new one without storing it. Batches of other partitions that are under way stay in their session.
 */
export class Sender implements Resource {
  readonly #client: kafkajs.Kafka
  readonly #log: Logger
  readonly #metadata = new Map<string, kafkajs.PartitionMetadata[]>()
  readonly sessions = new ProducerSessions(() => this.#connect())

  constructor({ client, log }: { client: kafkajs.Kafka; log: Logger }) {
    this.#client = client
    this.#log = log
  }

  /** The broker that leads a partition, by the metadata of the last request for its topic; undefined before any. */
  leaderOf(topic: string, partition: number): number | undefined {
    return this.#metadata.get(topic)?.find(({ partitionId }) => partitionId === partition)?.leader
  }

  /**
   * Sends one batch of each of several partitions to the leader that they share; sends nothing if it no longer leads
   * all of them. If the leader is undefined, the request must be of one partition. Sends once: after a failure it is
   * not known which batches were stored, so send each with {@link sendAlone}, unchanged and in the same session. After
   * a success the batches have left the session.
   */
  async sendTogether(request: Request & { leader: number | undefined; batches: number }): Promise<void> {
    // A partition that cannot be written must not use up the time of the others.
    await this.#send(request, { leader: request.leader, tried: new Set() })
    request.session.leave(request.batches)
  }

  /**
   * Sends one batch of one partition, with retries until `giveUpAt`. When this returns or throws, the batch has left
   * its session.
   *
   * @throws an error that {@link isRecordFault} recognises, or a RetriableError for an outage
   */
  async sendAlone(request: Request): Promise<void> {
    const { topic, giveUpAt } = request
    let { session } = request
    try {
      for (let attempt = 1; ; attempt++) {
        const failure = await this.#send({ ...request, session }).then(
          () => null,
          (error: unknown) => ({ error }),
        )
        if (!failure) return
        const { error } = failure
        const isBroken = session.failed || brokenSequence.has(kafkaErrorType(error))
        this.#throwIfOver(request, { error, session, isBroken })
        this.#log.warn({ topic, attempt, reason: messageOf(error) }, 'publish_retried')
        await pause(Math.min(exponentialMs(attempt, betweenAttempts), giveUpAt - performance.now()))
        if (isBroken) {
          const next = this.sessions.enter(1)
          session.leave()
          session = next
        }
      }
    } finally {
      session.leave()
    }
  }

  close(): Promise<void> {
    return this.sessions.close()
  }

  /** Throws if a failed attempt was the last. Retires the session if it is broken, or if it abandons the batch. */
  #throwIfOver(
    { topic, giveUpAt }: Request,
    { error, session, isBroken }: { error: unknown; session: ProducerSession; isBroken: boolean },
  ): void {
    if (isRecordFault(error)) throw error
    if (kafkaErrorType(error) === 'INVALID_TIMESTAMP') throw clockError(error)
    const isOver = this.sessions.isClosed || performance.now() >= giveUpAt
    if (isOver || isBroken) this.sessions.retire(session)
    if (!isOver) return
    const message = `Kafka did not take records for ${topic}: ${messageOf(error)}`
    throw new RetriableError(message, { cause: error })
  }

  /** @throws also when there is no answer by `giveUpAt`: kafkajs may then still be sending, in the session */
  async #send(request: Request, rules: Partial<Guard> = {}): Promise<void> {
    const { session, giveUpAt, messages } = request
    const leftMs = giveUpAt - performance.now()
    if (leftMs <= 0) throw new Error('no answer in time')
    const beforeEncoding = () => {
      if (this.sessions.isClosed || performance.now() >= giveUpAt) throw new Error('given up')
    }
    const guard: Guard = { leader: undefined, tried: null, beforeEncoding, ...rules }
    session.enter()
    const sending = deliver(
      request,
      messages.map((message) => ({ ...message, guard })),
    ).finally(() => session.leave())
    if ((await within(leftMs, sending)) === late) throw new Error('no answer in time')
  }

  async #connect(): Promise<kafkajs.Producer> {
    const producer = this.#client.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: () => (args) => this.#choosePartition(args),
      retry: { retries: 3, initialRetryTime: 100, maxRetryTime: 2_000 },
    })
    await producer.connect().catch((error) => {
      void producer.disconnect().catch(() => undefined)
      throw error
    })
    return producer
  }

  /** kafkajs calls this for each message, with the metadata by which it then sends. Checks the message's guard. */
  #choosePartition({ topic, partitionMetadata, message }: kafkajs.PartitionerArgs): number {
    this.#metadata.set(topic, partitionMetadata)
    const { partition, guard } = message as GuardedMessage
    const { leader, tried } = guard
    if (leader !== undefined && leader !== this.leaderOf(topic, partition))
      throw new Error(`Broker ${leader} does not lead partition ${partition} of ${topic} any more`)
    if (tried?.has(message)) throw new Error('given up')
    guard.beforeEncoding()
    tried?.add(message)
    return partition
  }
}

async function deliver({ session, topic }: Request, messages: GuardedMessage[]): Promise<void> {
  const producer = await session.producer
  const acks = await producer.send({
    ...{ topic, messages, acks: -1, timeout: 10_000 },
    compression: kafkajs.CompressionTypes.ZSTD,
  })
  const acknowledged = new Set(acks.map((ack) => (ack.errorCode === 0 ? ack.partition : null)))
  const missing = messages.find(({ partition }) => !acknowledged.has(partition))
  if (missing) throw new Error(`No acknowledgement for partition ${missing.partition} of ${topic}`)
}

/** Kafka refuses a record from more than an hour ahead. The record is not to blame, but the clock that stamped it. */
function clockError(cause: unknown): RetriableError {
  const now = new Date().toISOString()
  return new RetriableError(
    `Kafka refuses the time of our records: the clock of this machine (${now}) is wrong, or that of the brokers`,
    { cause },
  )
}
