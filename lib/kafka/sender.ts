import kafkajs from 'kafkajs'
import { messageOf, RetriableError } from '../errors.ts'
import { withinMs } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import type { Resource } from '../scope.ts'
import { kafkaErrorType } from './broker-error.ts'
import { pause } from './pause.ts'

const { CompressionTypes } = kafkajs

/** Records of one topic with their partitions chosen: one request, acknowledged by all in-sync replicas. */
export interface Sender extends Resource {
  /** The broker that leads a partition, as seen with the last request for its topic; undefined: never seen. */
  leaderOf(topic: string, partition: number): number | undefined
  /**
   * Sends a batch of each of several partitions to the one leader that they share; nothing is sent when it leads
   * them no more. Without a leader: of one partition. Tried once, as after a failure nobody knows which of them were
   * stored: send each {@link sendAlone} then, as it was.
   */
  sendTogether(
    topic: string,
    leader: number | undefined,
    messages: readonly PartitionMessage[],
  ): Promise<void>
  /**
   * Sends one batch of one partition, again and again until `giveUpAt`, a Unix time in milliseconds.
   *
   * @throws what {@link isRefused} tells, or a RetriableError that tells of an outage
   */
  sendAlone(topic: string, messages: readonly PartitionMessage[], giveUpAt: number): Promise<void>
}

export type PartitionMessage = kafkajs.Message & { partition: number }

/** kafkajs hands a message to the partitioner as it is, with the leader that it may be sent to. */
type GuardedMessage = PartitionMessage & { leader?: number }

/** Broker errors after which an idempotent producer cannot go on; kafkajs has no epoch bump. */
const brokenSequence = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'DUPLICATE_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
])

/**
 * An idempotent producer of kafkajs that keeps three rules of which kafkajs keeps none:
 *
 * - one leader per request: a request to several loses records when leadership moves (facts P0), and stores
 *   records twice when one of them fails;
 * - a batch is retried as it was: the broker knows a repetition by its sequence number and length alone;
 * - after giving up on a batch the producer is built anew: the next batch would carry the sequence number of the
 *   one given up, and the broker, having stored that one after all, would acknowledge the new one unread.
 */
export function openSender({ client, log }: { client: kafkajs.Kafka; log: Logger }): Sender {
  const metadata = new Map<string, kafkajs.PartitionMetadata[]>()
  let current: Promise<kafkajs.Producer> | null = null
  let closed = false

  const leaderOf = (topic: string, partition: number) =>
    metadata.get(topic)?.find(({ partitionId }) => partitionId === partition)?.leader

  /** Called by kafkajs for each message, with the metadata that it then sends by: a guard, and a view of them. */
  function partitioner({ topic, partitionMetadata, message }: kafkajs.PartitionerArgs): number {
    metadata.set(topic, partitionMetadata)
    const { partition, leader } = message as GuardedMessage
    if (leader !== undefined && leader !== leaderOf(topic, partition))
      throw new Error(`Broker ${leader} does not lead partition ${partition} of ${topic} any more`)
    return partition
  }

  function producer(): Promise<kafkajs.Producer> {
    if (closed) throw new RetriableError('The producer is closing')
    current ??= (async () => {
      const fresh = client.producer({
        idempotent: true,
        maxInFlightRequests: 1,
        allowAutoTopicCreation: false,
        createPartitioner: () => partitioner,
        retry: { retries: 3, initialRetryTime: 100, maxRetryTime: 2_000 },
      })
      await fresh.connect()
      return fresh
    })()
    current.catch(() => {
      current = null
    })
    return current
  }

  async function discard(broken: Promise<kafkajs.Producer>): Promise<void> {
    if (current !== broken) return
    current = null
    const old = await broken.catch(() => null)
    if (old)
      void withinMs(
        old.disconnect().catch(() => undefined),
        5_000,
      )
  }

  async function send(used: Promise<kafkajs.Producer>, topic: string, messages: GuardedMessage[]) {
    const sender = await used
    const acks = await sender.send({
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

  return {
    leaderOf,

    async sendTogether(topic, leader, messages) {
      await send(
        producer(),
        topic,
        messages.map((message) => ({ ...message, ...(leader !== undefined && { leader }) })),
      )
    },

    async sendAlone(topic, messages, giveUpAt) {
      for (let attempt = 1; ; attempt++) {
        const used = producer()
        try {
          return await send(used, topic, [...messages])
        } catch (error) {
          if (isRefused(error)) throw error
          const isOver = closed || Date.now() > giveUpAt
          if (isOver || brokenSequence.has(kafkaErrorType(error))) await discard(used)
          if (isOver) {
            throw new RetriableError(`Kafka did not take records for ${topic}: ${messageOf(error)}`, {
              cause: error,
            })
          }
          log.warn({ topic, attempt, reason: messageOf(error) }, 'publish_retried')
          await pause(Math.min(100 * 2 ** attempt, 3_000))
        }
      }
    },

    async close() {
      closed = true
      const open = await current?.catch(() => null)
      await open?.disconnect()
    },
  }
}

/** Errors that say no to these very records: trying again gives the same answer. */
export function isRefused(error: unknown): boolean {
  return ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'INVALID_TIMESTAMP'].includes(
    kafkaErrorType(error),
  )
}
