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

/** Records of one topic with their partitions chosen: one request, acknowledged by all in-sync replicas. */
export interface Request {
  session: ProducerSession
  topic: string
  messages: readonly PartitionMessage[]
  /** A moment of `performance.now()`. */
  giveUpAt: number
}

/**
 * kafkajs hands a message to the partitioner as it is, before each of its attempts, and to the encoder, for which it
 * may have to wait: with what they are bound to.
 */
type GuardedMessage = PartitionMessage & { guard: Guard }

interface Guard {
  /** The broker that may be sent to; undefined: any. */
  leader: number | undefined
  /** @throws when the message is not to be sent any more */
  beforeEncoding: () => void
  /** The messages that kafkajs has tried once, where it is to try them once only; null where it may go on. */
  tried: Set<kafkajs.Message> | null
}

const betweenAttempts = { firstMs: 200, longestMs: 3_000 }

/** Broker errors after which an idempotent producer cannot go on; kafkajs has no epoch bump. */
const brokenSequence = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'DUPLICATE_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
])

/**
 * Idempotent producers of kafkajs that keep three rules of which kafkajs keeps none:
 *
 * - one leader per request: a request to several loses records when leadership moves (tulios/kafkajs#1303), and
 *   stores records twice when one of them fails;
 * - a batch is retried as it was and in the session that it was sent in: the broker knows a repetition by the
 *   producer's id, the sequence number and the length alone;
 * - after giving up on a batch its partition goes on in another session: the next batch would carry the sequence
 *   number of the one given up, and the broker, having stored that one after all, would acknowledge the new one
 *   unread. Batches of other partitions that are under way stay where they are.
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

  /** The broker that leads a partition, as seen with the last request for its topic; undefined: never seen. */
  leaderOf(topic: string, partition: number): number | undefined {
    return this.#metadata.get(topic)?.find(({ partitionId }) => partitionId === partition)?.leader
  }

  /**
   * Sends a batch of each of several partitions to the one leader that they share; nothing is sent when it leads
   * them no more. Without a leader: of one partition. Tried once, as after a failure nobody knows which of them were
   * stored: send each with {@link sendAlone} then, as it was and in the same session. When it succeeds they have left
   * the session.
   */
  async sendTogether(request: Request & { leader: number | undefined; batches: number }): Promise<void> {
    // One that cannot be written now is not to use up the time of its neighbours.
    await this.#send(request, { leader: request.leader, tried: new Set() })
    request.session.leave(request.batches)
  }

  /**
   * Sends one batch of one partition, again and again until `giveUpAt`; in the end it has left its session.
   *
   * @throws what {@link isRecordFault} knows, or a RetriableError for an outage
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

  /** Decides after a failed attempt; a session that is broken, or that leaves a batch behind, takes no other. */
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

  /** @throws when there is no answer by `giveUpAt` either: kafkajs may still be at it, in its session */
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

  /** Called by kafkajs for each message, with the metadata that it then sends by: a guard, and a view of them. */
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

/** Kafka takes no record from more than an hour ahead: the record is not wrong, but the clock that stamped it. */
function clockError(cause: unknown): RetriableError {
  const now = new Date().toISOString()
  return new RetriableError(
    `Kafka refuses the time of our records: the clock of this machine (${now}) is wrong, or that of the brokers`,
    { cause },
  )
}
