import kafkajs from 'kafkajs'
import { exponentialMs, pause } from '../backoff.ts'
import { isRecordFault, messageOf, RetriableError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Resource } from '../scope.ts'
import { late, within } from '../time-limit.ts'
import { kafkaErrorType } from './broker-error.ts'
import { ProducerSession } from './producer-session.ts'

const { CompressionTypes } = kafkajs

/** Records of one topic with their partitions chosen: one request, acknowledged by all in-sync replicas. */
export interface Sender extends Resource {
  /** The broker that leads a partition, as seen with the last request for its topic; undefined: never seen. */
  leaderOf(topic: string, partition: number): number | undefined
  /** The session that a new batch is sent in, with one user more for each batch. */
  enter(batches: number): ProducerSession
  /**
   * Sends a batch of each of several partitions to the one leader that they share; nothing is sent when it leads
   * them no more. Without a leader: of one partition. Tried once, as after a failure nobody knows which of them were
   * stored: send each {@link sendAlone} then, as it was and in the same session. When it succeeds they have left it.
   */
  sendTogether(request: Request & { leader: number | undefined; batches: number }): Promise<void>
  /**
   * Sends one batch of one partition, again and again until `giveUpAt`; in the end it has left its session.
   *
   * @throws what {@link isRecordFault} knows, or a RetriableError that tells of an outage
   */
  sendAlone(request: Request): Promise<void>
}

interface Request {
  session: ProducerSession
  topic: string
  messages: readonly PartitionMessage[]
  /** A moment of `performance.now()`. */
  giveUpAt: number
}

export type PartitionMessage = kafkajs.Message & { partition: number }

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
  /** The messages that kafkajs has tried once, where it is to try them once only; null: it may go on. */
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
 * - one leader per request: a request to several loses records when leadership moves (docs/design.md), and stores
 *   records twice when one of them fails;
 * - a batch is retried as it was and in the session that it was sent in: the broker knows a repetition by the
 *   producer's id, the sequence number and the length alone;
 * - after giving up on a batch its partition goes on in another session: the next batch would carry the sequence
 *   number of the one given up, and the broker, having stored that one after all, would acknowledge the new one
 *   unread. Batches of other partitions that are under way stay where they are.
 */
export function openSender({ client, log }: { client: kafkajs.Kafka; log: Logger }): Sender {
  const metadata = new Map<string, kafkajs.PartitionMetadata[]>()
  const sessions = new Set<ProducerSession>()
  let current: ProducerSession | null = null
  let closed = false

  const leaderOf = (topic: string, partition: number) =>
    metadata.get(topic)?.find(({ partitionId }) => partitionId === partition)?.leader

  /** Called by kafkajs for each message, with the metadata that it then sends by: a guard, and a view of them. */
  function partitioner({ topic, partitionMetadata, message }: kafkajs.PartitionerArgs): number {
    metadata.set(topic, partitionMetadata)
    const { partition, guard } = message as GuardedMessage
    const { leader, tried } = guard
    if (leader !== undefined && leader !== leaderOf(topic, partition))
      throw new Error(`Broker ${leader} does not lead partition ${partition} of ${topic} any more`)
    if (tried?.has(message)) throw new Error('given up')
    guard.beforeEncoding()
    tried?.add(message)
    return partition
  }

  async function connect(): Promise<kafkajs.Producer> {
    if (closed) throw new RetriableError('The producer is closing')
    const fresh = client.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: () => partitioner,
      retry: { retries: 3, initialRetryTime: 100, maxRetryTime: 2_000 },
    })
    await fresh.connect().catch((error) => {
      void fresh.disconnect().catch(() => undefined)
      throw error
    })
    return fresh
  }

  function enter(batches: number): ProducerSession {
    if (!current || current.failed) {
      const fresh = new ProducerSession(connect)
      sessions.add(fresh)
      void fresh.ended.then(() => sessions.delete(fresh))
      current?.retire()
      current = fresh
    }
    for (let i = 0; i < batches; i++) current.enter()
    return current
  }

  function retire(session: ProducerSession): void {
    if (current === session) current = null
    session.retire()
  }

  /** @throws when there is no answer by `giveUpAt` either: kafkajs may still be at it, in its session */
  async function send({ session, topic, messages, giveUpAt }: Request, guard: Partial<Guard> = {}) {
    const leftMs = giveUpAt - performance.now()
    if (leftMs <= 0) throw new Error('no answer in time')
    session.enter()
    const beforeEncoding = () => {
      if (closed || performance.now() >= giveUpAt) throw new Error('given up')
    }
    const guarded: Guard = { leader: undefined, tried: null, beforeEncoding, ...guard }
    const sending = deliver(
      session,
      topic,
      messages.map((message) => ({ ...message, guard: guarded })),
    ).finally(() => session.leave())
    if ((await within(leftMs, sending)) === late) throw new Error('no answer in time')
  }

  async function deliver(session: ProducerSession, topic: string, messages: GuardedMessage[]): Promise<void> {
    const producer = await session.producer
    const acks = await producer.send({
      topic,
      messages,
      acks: -1,
      timeout: 10_000,
      compression: CompressionTypes.ZSTD,
    })
    const acknowledged = new Set(acks.map((ack) => (ack.errorCode === 0 ? ack.partition : null)))
    const missing = messages.find(({ partition }) => !acknowledged.has(partition))
    if (missing) throw new Error(`No acknowledgement for partition ${missing.partition} of ${topic}`)
  }

  async function sendAlone(request: Request): Promise<void> {
    const { topic, giveUpAt } = request
    let { session } = request
    try {
      for (let attempt = 1; ; attempt++) {
        const failure = await send({ ...request, session }).then(
          () => null,
          (error: unknown) => ({ error }),
        )
        if (!failure) return
        const { error } = failure
        if (isRecordFault(error)) throw error
        if (kafkaErrorType(error) === 'INVALID_TIMESTAMP') throw clockError(error)
        const isOver = closed || performance.now() >= giveUpAt
        const isBroken = session.failed || brokenSequence.has(kafkaErrorType(error))
        if (isOver || isBroken) retire(session)
        if (isOver) {
          const message = `Kafka did not take records for ${topic}: ${messageOf(error)}`
          throw new RetriableError(message, { cause: error })
        }
        log.warn({ topic, attempt, reason: messageOf(error) }, 'publish_retried')
        await pause(Math.min(exponentialMs(attempt, betweenAttempts), giveUpAt - performance.now()))
        if (isBroken) {
          const next = enter(1)
          session.leave()
          session = next
        }
      }
    } finally {
      session.leave()
    }
  }

  return {
    leaderOf,
    enter,
    sendAlone,

    async sendTogether({ batches, leader, ...request }) {
      // One that cannot be written now is not to use up the time of its neighbours.
      await send(request, { leader, tried: new Set() })
      for (let i = 0; i < batches; i++) request.session.leave()
    },

    async close() {
      closed = true
      current = null
      await Promise.all([...sessions].map((session) => session.close()))
    },
  }
}

/** Kafka takes no record from more than an hour ahead: not the record is wrong, but the clock that stamped it. */
function clockError(cause: unknown): RetriableError {
  const now = new Date().toISOString()
  return new RetriableError(
    `Kafka refuses the time of our records: the clock of this machine (${now}) is wrong, or that of the brokers`,
    { cause },
  )
}
