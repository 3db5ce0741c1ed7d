import type kafkajs from 'kafkajs'
import { pause } from '../backoff.ts'
import { RetriableError } from '../errors.ts'
import { within } from '../time-limit.ts'
import type { ClientOptions } from './client.ts'
import { createClient } from './client.ts'
import { faultOf } from './kafkajs-patches.ts'
import { toRawRecord } from './kafkajs-record.ts'
import type { RawRecord } from './record.ts'

/** Offsets of one partition: from `from` up to but not including `to`. */
export interface OffsetRange {
  partition: number
  from: number
  to: number
}

export interface ReadRangeOptions extends ClientOptions {
  topic: string
  ranges: OffsetRange[]
  /** Called in offset order per partition, for one partition at a time; more records are fetched when it resolves. */
  onRecords: (records: RawRecord[]) => Promise<void>
  /** Ends the reading early. */
  signal?: AbortSignal
  /** Most records of each partition; default: all of its range. */
  limit?: number
  /**
   * Most records of one call; default: 500. A heartbeat follows each call, so the call must take less than a minute.
   */
  portion?: number
  /** Name of the temporary group; `kafka-consumer-groups` lists it during the read. */
  group: string
}

const handedAtOnce = 500
/** For some seconds after a broker has started or a coordinator has moved, no member can join a group. */
const joinWithinMs = 15_000
const joinPauseMs = 500
/** After this long without a record, ask the broker whether any are left. */
const quietMs = 3_000
const disconnectWithinMs = 5_000

/** The rest of a range. */
interface Left {
  from: number
  to: number
  /** Records that may still be handed over. */
  records: number
}

/** kafkajs has stopped: a broker is away, or the group cannot be joined now. */
class BrokeOffError extends RetriableError {
  override name = 'BrokeOffError'
}

/**
 * Reads ranges of a topic once, without moving the offsets of any consumer group. kafkajs cannot read without a
 * group, so this joins a temporary one, commits nothing, and removes it at the end. When kafkajs stops, it joins
 * again; no record is handed over twice.
 *
 * @throws errors of `onRecords`; kafkajs's error when it cannot connect; RetriableError when kafkajs stops after 15
 *   seconds without a record, or when a batch cannot be read
 */
export async function readRange(options: ReadRangeOptions): Promise<void> {
  const { ranges, limit = Number.POSITIVE_INFINITY, signal } = options
  const open = new Map(
    ranges.filter((r) => r.to > r.from).map((r) => [r.partition, { from: r.from, to: r.to, records: limit }]),
  )
  const reading = { handedAt: performance.now(), open }
  while (open.size > 0 && !signal?.aborted) {
    try {
      await readOnce(reading, options)
    } catch (error) {
      const isLate = performance.now() - reading.handedAt > joinWithinMs
      if (!(error instanceof BrokeOffError) || isLate) throw error
      await pause(joinPauseMs, signal)
    }
  }
}

interface RangeProgress {
  open: Map<number, Left>
  /** When records were last handed over, by the monotonic clock. */
  handedAt: number
}

async function readOnce(reading: RangeProgress, options: ReadRangeOptions): Promise<void> {
  const client = createClient(options)
  const consumer = client.consumer({
    groupId: options.group,
    sessionTimeout: 60_000,
    heartbeatInterval: 5_000,
    maxWaitTimeInMs: 200,
    maxBytesPerPartition: 1 << 20,
    allowAutoTopicCreation: false,
    retry: { retries: 5, restartOnFailure: async () => false },
  })
  const working = { batch: Promise.resolve() }
  const ended = new AbortController()
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [options.topic], fromBeginning: true })
    const forgotten = untilForgotten(client, { topic: options.topic, reading, signal: ended.signal })
    await Promise.race([consume(consumer, { ...options, reading, working }), forgotten])
  } finally {
    ended.abort()
    await within(
      disconnectWithinMs,
      consumer.disconnect().catch(() => undefined),
    )
    await removeGroup(client, options.group)
    // The next attempt continues after the records that this one has handed over.
    await working.batch
  }
}

/**
 * Drops partitions from which no record can come, because retention has removed the rest of the range. Checks only
 * while no records arrive. Resolves when no partition is left.
 */
async function untilForgotten(
  client: kafkajs.Kafka,
  { topic, reading, signal }: { topic: string; reading: RangeProgress; signal: AbortSignal },
): Promise<void> {
  const { open } = reading
  const admin = client.admin()
  while (open.size > 0) {
    await pause(quietMs, signal)
    if (signal.aborted) return
    if (performance.now() - reading.handedAt < quietMs) continue
    try {
      await admin.connect()
      for (const { partition, low } of await admin.fetchTopicOffsets(topic)) {
        const left = open.get(partition)
        if (left && Number(low) >= left.to) open.delete(partition)
      }
    } catch {
      // A broker is away: the consumer reports it.
    } finally {
      await admin.disconnect()
    }
  }
}

interface Consuming extends ReadRangeOptions {
  reading: RangeProgress
  /** Ends with the present batch; never rejects. */
  working: { batch: Promise<void> }
}

async function consume(consumer: kafkajs.Consumer, options: Consuming): Promise<void> {
  const { topic, signal, reading, working } = options
  const { open } = reading
  const { promise: finished, resolve, reject } = Promise.withResolvers<void>()
  const stopped = () => resolve()
  signal?.addEventListener('abort', stopped)
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    reject(new BrokeOffError(`RangeProgress ${topic} broke off`, { cause: payload.error }))
  })

  // Runs before the first fetch, and again when the topic has changed: so only the ranges are fetched.
  consumer.on(consumer.events.GROUP_JOIN, ({ payload: { memberAssignment } }) => {
    const assigned = memberAssignment[topic] ?? []
    consumer.pause([{ topic, partitions: assigned.filter((partition) => !open.has(partition)) }])
    for (const [partition, { from }] of open) consumer.seek({ topic, partition, offset: String(from) })
  })

  async function take(payload: kafkajs.EachBatchPayload): Promise<void> {
    const { partition } = payload.batch
    const left = open.get(partition)
    if (!left || signal?.aborted) return
    const fault = faultOf(payload.batch)
    if (fault) {
      const place = `Partition ${partition} of ${topic} cannot be read at offset ${fault.offset}`
      throw new RetriableError(`${place}: ${fault.reason}`)
    }
    await handOver(left, payload, options)
    if (signal?.aborted || (left.from < left.to && left.records > 0)) return
    open.delete(partition)
    consumer.pause([{ topic, partitions: [partition] }])
    if (open.size === 0) resolve()
  }

  const running = consumer.run({
    autoCommit: false,
    // One partition after the other, so calls of `onRecords` never overlap.
    partitionsConsumedConcurrently: 1,
    eachBatch: (payload) => {
      working.batch = take(payload).catch(reject)
      return working.batch
    },
  })
  try {
    await Promise.race([running.then(() => finished), finished])
  } finally {
    signal?.removeEventListener('abort', stopped)
  }
}

/** Hands a batch over in portions; no record twice. */
async function handOver(
  left: Left,
  { batch, heartbeat }: kafkajs.EachBatchPayload,
  { topic, signal, onRecords, portion = handedAtOnce, reading }: Consuming,
): Promise<void> {
  const records = batch.messages
    .map((m) => toRawRecord(topic, batch.partition, m))
    .filter((r) => r.offset >= left.from && r.offset < left.to)
    .slice(0, left.records)
  for (let i = 0; i < records.length; i += portion) {
    if (signal?.aborted) return
    const some = records.slice(i, i + portion)
    await onRecords(some)
    left.from = (some.at(-1)?.offset ?? left.from) + 1
    left.records -= some.length
    reading.handedAt = performance.now()
    await heartbeat().catch((cause) => {
      throw new BrokeOffError(`RangeProgress ${topic} broke off`, { cause })
    })
  }
  // Compaction leaves offsets out: all that the batch spans counts as read.
  if (left.records > 0) left.from = Math.max(left.from, Number(batch.lastOffset()) + 1)
}

async function removeGroup(client: kafkajs.Kafka, group: string): Promise<void> {
  const admin = client.admin()
  try {
    await admin.connect()
    await admin.deleteGroups([group])
  } catch {
    // The broker removes an empty group without commits by itself after a while.
  } finally {
    await admin.disconnect()
  }
}
