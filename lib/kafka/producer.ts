import kafkajs from 'kafkajs'
import { isRecordFault, messageOf, RetriableError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { metrics } from '../metrics.ts'
import type { Resource } from '../scope.ts'
import { late, within } from '../time-limit.ts'
import { isUnknownTopic } from './broker-error.ts'
import { toMessage } from './kafkajs-record.ts'
import type { ProducerSession } from './producer-session.ts'
import type { OutRecord } from './record.ts'
import type { PartitionMessage } from './sender.ts'
import { openSender } from './sender.ts'

const { Partitioners } = kafkajs

export interface Producer extends Resource {
  /** Resolves when every in-sync replica has all records. */
  publish(topic: string, records: OutRecord[]): Promise<void>
}

export interface ProducerOptions {
  client: kafkajs.Kafka
  log: Logger
  /** How long a record is tried, from its call of `publish` on, before that fails. */
  giveUpAfterMs?: number
}

interface Waiting {
  message: PartitionMessage
  bytes: number
  /** A moment of `performance.now()`. */
  giveUpAt: number
  resolve: () => void
  reject: (error: unknown) => void
}

/** One partition: one batch at a time, so that order holds and no record is in two batches at once. */
interface Lane {
  partition: number
  waiting: Waiting[]
  isBusy: boolean
  /** The last batch was given up: until one is written none goes with those of other partitions. */
  isDown: boolean
}

/** What waits for one topic; the leaders that a request is under way to. */
interface TopicQueue {
  topic: string
  lanes: Map<number, Lane>
  busyLeaders: Set<number | undefined>
}

interface Batch {
  lane: Lane
  records: Waiting[]
}

/** A batch that is under way, and may have been stored under a session's name. */
interface SentBatch extends Batch {
  session: ProducerSession
}

const batchMaxBytes = 1 << 20
/** Of all partitions together; one batch goes in any case. */
const requestMaxBytes = 2 << 20
const partitionsKnownForMs = 300_000
/** What ends a batch says why: it has so much time before its callers are told that there was no answer. */
const graceMs = 1_000

/**
 * Publishes by the request: whatever waits for partitions of one leader goes together, one batch for each, and what
 * comes while that is under way goes with the next. A request that fails is taken apart, so that a partition that
 * cannot be written, or a record that the broker refuses, harms no neighbour. How nothing is lost or doubled
 * meanwhile is {@link openSender}'s.
 */
export async function openProducer(options: ProducerOptions): Promise<Producer> {
  const { client, log, giveUpAfterMs = 30_000 } = options
  const sender = openSender({ client, log })
  const queues = new Map<string, TopicQueue>()
  const partitionCounts = new Map<string, { count: number; until: number }>()
  const partitioner = Partitioners.DefaultPartitioner()
  const admin = client.admin()

  async function partitionCount(topic: string): Promise<number> {
    const known = partitionCounts.get(topic)
    if (known && known.until > performance.now()) return known.count
    try {
      await admin.connect()
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const count = topics[0]?.partitions.length ?? 0
      if (count === 0) throw new RetriableError(`Topic ${topic} has no partitions yet`)
      partitionCounts.set(topic, { count, until: performance.now() + partitionsKnownForMs })
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

  function queueOf(topic: string): TopicQueue {
    const queue = queues.get(topic) ?? { topic, lanes: new Map(), busyLeaders: new Set() }
    queues.set(topic, queue)
    return queue
  }

  /** Starts a request to every leader that records wait for and that none is under way to. */
  function pump(queue: TopicQueue): void {
    const { topic, lanes, busyLeaders } = queue
    withdrawLate(queue)
    for (const lane of [...lanes.values()]) {
      if (!isReady(lane)) continue
      if (lane.isDown) {
        sendApart(queue, { lane, records: takeBatch(lane).records, session: sender.enter(1) })
        continue
      }
      const leader = sender.leaderOf(topic, lane.partition)
      if (busyLeaders.has(leader)) continue
      const batches = takeBatches(queue, leader)
      busyLeaders.add(leader)
      void send(queue, batches, leader).finally(() => {
        busyLeaders.delete(leader)
        pump(queue)
      })
    }
  }

  /** At most one batch of each partition; whose turn it was is last the next time. */
  function takeBatches({ topic, lanes }: TopicQueue, leader: number | undefined): Batch[] {
    const batches: Batch[] = []
    let bytes = 0
    for (const lane of [...lanes.values()]) {
      if (!isReady(lane) || lane.isDown || sender.leaderOf(topic, lane.partition) !== leader) continue
      const { records, bytes: more } = takeBatch(lane)
      batches.push({ lane, records })
      bytes += more
      lanes.delete(lane.partition)
      lanes.set(lane.partition, lane)
      if (leader === undefined || bytes >= requestMaxBytes) break
    }
    return batches
  }

  /** Resolves when the leader is free for the next request; batches of one that failed may still be under way. */
  async function send(queue: TopicQueue, batches: Batch[], leader: number | undefined): Promise<void> {
    const { topic } = queue
    const session = sender.enter(batches.length)
    const all = batches.flatMap(({ records }) => records)
    try {
      await sender.sendTogether({ ...toRequest(topic, all), session, leader, batches: batches.length })
      for (const { lane, records } of batches) {
        acknowledge(topic, records)
        lane.isBusy = false
      }
    } catch (error) {
      log.debug({ topic, partitions: batches.length, err: error }, 'request_taken_apart')
      for (const batch of batches) sendApart(queue, { ...batch, session })
    }
  }

  function sendApart(queue: TopicQueue, batch: SentBatch): void {
    const { lane } = batch
    void sendAlone(queue.topic, batch).then((isDown) => {
      lane.isDown = isDown
      lane.isBusy = false
      pump(queue)
    })
  }

  /** Never throws: callers are told of each record. @returns whether the partition cannot be written now */
  async function sendAlone(topic: string, { lane, records, session }: SentBatch): Promise<boolean> {
    try {
      await sender.sendAlone({ ...toRequest(topic, records), session })
      acknowledge(topic, records)
      return false
    } catch (error) {
      // One record that the broker refuses must not cost its neighbours: they travel alone.
      if (records.length > 1 && isRecordFault(error)) {
        let isDown = false
        for (const record of records) {
          isDown = await sendAlone(topic, { lane, records: [record], session: sender.enter(1) })
        }
        return isDown
      }
      for (const { reject } of records) reject(error)
      return !isRecordFault(error)
    }
  }

  function enqueue(queue: TopicQueue, message: PartitionMessage, giveUpAt: number): Promise<void> {
    const { partition } = message
    const lane = queue.lanes.get(partition) ?? { partition, waiting: [], isBusy: false, isDown: false }
    queue.lanes.set(partition, lane)
    return new Promise<void>((resolve, reject) => {
      lane.waiting.push({ message, bytes: (message.value?.length ?? 0) + 100, giveUpAt, resolve, reject })
    })
  }

  async function publishAll(topic: string, records: OutRecord[], giveUpAt: number): Promise<void> {
    const count = await partitionCount(topic)
    if (performance.now() >= giveUpAt) throw new RetriableError('Kafka answered too late')
    const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
      partitionId,
      leader: 0,
    }))
    const queue = queueOf(topic)
    const sent = records.map((record) => {
      const message = toMessage(record)
      const partition = partitioner({ topic, partitionMetadata: partitionMetadata as never, message })
      return enqueue(queue, { ...message, partition }, giveUpAt)
    })
    pump(queue)
    const outcomes = await Promise.allSettled(sent)
    const failed = outcomes.find((o) => o.status === 'rejected')
    if (failed) throw failed.reason
  }

  return {
    async publish(topic, records) {
      if (records.length === 0) return
      const publishing = publishAll(topic, records, performance.now() + giveUpAfterMs)
      if ((await within(giveUpAfterMs + graceMs, publishing)) !== late) return
      withdrawLate(queueOf(topic))
      throw new RetriableError(`Kafka did not take records for ${topic} within ${giveUpAfterMs / 1000} s`)
    },
    async close() {
      for (const { lanes } of queues.values()) {
        for (const { waiting } of lanes.values()) {
          for (const { reject } of waiting.splice(0)) reject(new RetriableError('The producer is closing'))
        }
      }
      await Promise.all([sender.close(), admin.disconnect()])
    },
  }
}

function acknowledge(topic: string, records: Waiting[]): void {
  metrics.recordsPublished.inc({ topic }, records.length)
  for (const { resolve } of records) resolve()
}

function isReady(lane: Lane): boolean {
  return !lane.isBusy && lane.waiting.length > 0
}

/** Records whose time is over before their turn has come are not sent any more. */
function withdrawLate(queue: TopicQueue): void {
  const now = performance.now()
  for (const { waiting } of queue.lanes.values()) {
    const next = waiting.findIndex(({ giveUpAt }) => giveUpAt > now)
    const late = waiting.splice(0, next < 0 ? waiting.length : next)
    for (const { reject } of late) reject(new RetriableError('Those before them did not get through in time'))
  }
}

/**
 * A batch is tried until the first of its records is given up. Nothing of it is sent after that: the caller may have
 * published the record again, and freed its memory.
 */
function toRequest(topic: string, records: readonly Waiting[]) {
  return {
    topic,
    messages: records.map(({ message }) => message),
    giveUpAt: Math.min(...records.map(({ giveUpAt }) => giveUpAt)),
  }
}

/** The lane is busy from now on. */
function takeBatch(lane: Lane): { records: Waiting[]; bytes: number } {
  const { waiting } = lane
  lane.isBusy = true
  let bytes = 0
  let n = 0
  while (n < waiting.length && (n === 0 || bytes + (waiting[n]?.bytes ?? 0) <= batchMaxBytes)) {
    bytes += waiting[n]?.bytes ?? 0
    n++
  }
  return { records: waiting.splice(0, n), bytes }
}
