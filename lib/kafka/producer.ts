import kafkajs from 'kafkajs'
import { messageOf, RetriableError } from '../errors.ts'
import { withinMs } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import { metrics } from '../metrics.ts'
import type { Resource } from '../scope.ts'
import { isUnknownTopic, kafkaErrorType } from './broker-error.ts'
import type { OutRecord } from './kafka.ts'
import { pause } from './pause.ts'
import type { Header } from './record.ts'

const { CompressionTypes, Partitioners } = kafkajs

export interface Producer extends Resource {
  /** Resolves when every in-sync replica has all records. */
  publish(topic: string, records: OutRecord[]): Promise<void>
}

export interface ProducerOptions {
  client: kafkajs.Kafka
  log: Logger
  /** How long a batch is tried before its callers are told of the outage. */
  giveUpAfterMs?: number
}

interface Waiting {
  message: kafkajs.Message
  bytes: number
  resolve: () => void
  reject: (error: unknown) => void
}

/** One partition: one request at a time, so that order holds and no record is in two batches at once. */
interface Lane {
  waiting: Waiting[]
  draining: boolean
}

const batchMaxBytes = 1 << 20
const partitionsKnownForMs = 300_000

/** Broker errors after which an idempotent producer cannot go on; kafkajs has no epoch bump. */
const brokenSequence = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'DUPLICATE_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
])

/**
 * An idempotent producer (acks from all replicas, zstd) that keeps three rules of which kafkajs keeps none:
 *
 * - one partition per request: a request to several leaders loses records when leadership moves (facts P0);
 * - a batch is retried as it was: the broker knows a repetition by its sequence number and length alone;
 * - after giving up on a batch the producer is built anew: the next batch would carry the sequence number of the
 *   one given up, and the broker, having stored that one after all, would acknowledge the new one unread.
 */
export async function openProducer(options: ProducerOptions): Promise<Producer> {
  const { client, log, giveUpAfterMs = 30_000 } = options
  const lanes = new Map<string, Lane>()
  const partitionCounts = new Map<string, { count: number; until: number }>()
  const partitioner = Partitioners.DefaultPartitioner()
  const admin = client.admin()
  let current: Promise<kafkajs.Producer> | null = null
  let closed = false

  function producer(): Promise<kafkajs.Producer> {
    current ??= (async () => {
      const fresh = client.producer({
        idempotent: true,
        maxInFlightRequests: 1,
        allowAutoTopicCreation: false,
        createPartitioner: Partitioners.DefaultPartitioner,
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

  async function discard(broken: Promise<kafkajs.Producer> | null): Promise<void> {
    if (current !== broken) return
    current = null
    const old = await broken?.catch(() => null)
    if (old)
      void withinMs(
        old.disconnect().catch(() => undefined),
        5_000,
      )
  }

  async function partitionCount(topic: string): Promise<number> {
    const known = partitionCounts.get(topic)
    if (known && known.until > Date.now()) return known.count
    try {
      await admin.connect()
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const count = topics[0]?.partitions.length ?? 0
      if (count === 0) throw new RetriableError(`Topic ${topic} has no partitions yet`)
      partitionCounts.set(topic, { count, until: Date.now() + partitionsKnownForMs })
      return count
    } catch (error) {
      if (known) return known.count
      throw new RetriableError(
        isUnknownTopic(error)
          ? `Topic ${topic} does not exist; run: npm run migrate`
          : `Kafka does not answer: ${messageOf(error)}`,
        { cause: error },
      )
    }
  }

  async function sendBatch(topic: string, messages: kafkajs.Message[]): Promise<void> {
    const until = Date.now() + giveUpAfterMs
    for (let attempt = 1; ; attempt++) {
      const used = producer()
      try {
        const sender = await used
        const acks = await sender.send({
          topic,
          messages,
          acks: -1,
          timeout: 10_000,
          compression: CompressionTypes.ZSTD,
        })
        const [ack] = acks
        if (acks.length !== 1 || ack?.errorCode !== 0) throw new Error(`No acknowledgement for ${topic}`)
        return
      } catch (error) {
        if (isRefused(error)) throw error
        const broken = brokenSequence.has(kafkaErrorType(error))
        if (broken || closed || Date.now() > until) await discard(used)
        if (closed || Date.now() > until) {
          throw new RetriableError(`Kafka did not take records for ${topic}: ${messageOf(error)}`, {
            cause: error,
          })
        }
        log.warn({ topic, attempt, reason: messageOf(error) }, 'publish_retried')
        await pause(Math.min(100 * 2 ** attempt, 3_000))
      }
    }
  }

  async function drain(topic: string, lane: Lane): Promise<void> {
    lane.draining = true
    while (lane.waiting.length > 0) {
      const batch = takeBatch(lane.waiting)
      try {
        await sendBatch(
          topic,
          batch.map((w) => w.message),
        )
        metrics.recordsPublished.inc({ topic }, batch.length)
        for (const w of batch) w.resolve()
      } catch (error) {
        // One record that the broker refuses must not cost its neighbours: they travel alone.
        if (batch.length > 1 && isRefused(error)) await sendOneByOne(topic, batch)
        else for (const w of batch) w.reject(error)
      }
    }
    lane.draining = false
  }

  async function sendOneByOne(topic: string, batch: Waiting[]): Promise<void> {
    for (const w of batch) {
      await sendBatch(topic, [w.message]).then(w.resolve, w.reject)
    }
  }

  function enqueue(topic: string, partition: number, record: OutRecord): Promise<void> {
    const name = `${topic}/${partition}`
    const lane = lanes.get(name) ?? { waiting: [], draining: false }
    lanes.set(name, lane)
    return new Promise<void>((resolve, reject) => {
      const message = toMessage(record, partition)
      lane.waiting.push({ message, bytes: (record.value?.length ?? 0) + 100, resolve, reject })
      if (!lane.draining) void drain(topic, lane)
    })
  }

  return {
    async publish(topic, records) {
      if (records.length === 0) return
      const count = await partitionCount(topic)
      const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
        partitionId,
        leader: 0,
      }))
      const sent = records.map((record) => {
        const message = toMessage(record, record.partition)
        return enqueue(
          topic,
          partitioner({ topic, partitionMetadata: partitionMetadata as never, message }),
          record,
        )
      })
      const outcomes = await Promise.allSettled(sent)
      const failed = outcomes.find((o) => o.status === 'rejected')
      if (failed) throw failed.reason
    },
    async close() {
      closed = true
      await Promise.all(
        [...lanes.values()].flatMap((l) =>
          l.waiting.map((w) => w.reject(new RetriableError('The producer is closing'))),
        ),
      )
      const open = await current?.catch(() => null)
      await Promise.all([open?.disconnect(), admin.disconnect()])
    },
  }
}

function takeBatch(waiting: Waiting[]): Waiting[] {
  let bytes = 0
  let n = 0
  while (n < waiting.length && (n === 0 || bytes + (waiting[n]?.bytes ?? 0) <= batchMaxBytes)) {
    bytes += waiting[n]?.bytes ?? 0
    n++
  }
  return waiting.splice(0, n)
}

function toMessage(record: OutRecord, partition: number | undefined): kafkajs.Message {
  return {
    key: record.key,
    value: record.value,
    ...(partition !== undefined && { partition }),
    ...(record.timestamp !== undefined && { timestamp: String(record.timestamp) }),
    ...(record.headers && { headers: toKafkaHeaders(record.headers) }),
  }
}

/** kafkajs wants a map; a name that occurs more than once becomes a list. */
function toKafkaHeaders(headers: Header[]): kafkajs.IHeaders {
  const map: Record<string, Buffer[]> = {}
  for (const { name, value } of headers) {
    map[name] ??= []
    map[name].push(value)
  }
  return map
}

/** Errors that say no to these very records: trying again gives the same answer. */
function isRefused(error: unknown): boolean {
  return ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'INVALID_TIMESTAMP'].includes(
    kafkaErrorType(error),
  )
}
