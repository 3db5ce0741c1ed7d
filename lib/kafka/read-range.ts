import type kafkajs from 'kafkajs'
import { RetriableError } from '../errors.ts'
import { withinMs } from '../lifecycle.ts'
import type { ClientOptions } from './client.ts'
import { createClient } from './client.ts'
import type { RawRecord } from './record.ts'
import { toRawRecord } from './record.ts'

/** Offsets of one partition: from `from` up to, not including, `to`. */
export interface OffsetRange {
  partition: number
  from: number
  to: number
}

export interface ReadRangeOptions extends ClientOptions {
  topic: string
  ranges: OffsetRange[]
  /** Called in offset order per partition, partitions in turn; the next records are fetched when it resolves. */
  onRecords: (records: RawRecord[]) => Promise<void>
  /** Ends the reading early. */
  signal?: AbortSignal
  /** Most records of each partition; absent: all of its range. */
  limit?: number
  /** Most records handed over at once; absent: 500. A heartbeat follows each portion: its work stays under a minute. */
  portion?: number
  /** Name of the temporary group; shows in `kafka-consumer-groups` while it reads. */
  group: string
}

const handedAtOnce = 500

/**
 * Reads ranges of a topic once, beside every consumer group and without moving any of their offsets. kafkajs
 * cannot read without a group, so it joins a temporary one, commits nothing, and removes it at the end.
 *
 * @throws what `onRecords` throws; RetriableError when Kafka does not answer
 */
export async function readRange(options: ReadRangeOptions): Promise<void> {
  const open = new Map(options.ranges.filter((r) => r.to > r.from).map((r) => [r.partition, { ...r }]))
  if (open.size === 0 || options.signal?.aborted) return
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
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [options.topic], fromBeginning: true })
    await consume(consumer, open, options)
  } finally {
    await withinMs(
      consumer.disconnect().catch(() => undefined),
      5_000,
    )
    await removeGroup(client, options.group)
  }
}

async function consume(
  consumer: kafkajs.Consumer,
  open: Map<number, OffsetRange>,
  { topic, signal, onRecords, limit = Number.POSITIVE_INFINITY, portion = handedAtOnce }: ReadRangeOptions,
): Promise<void> {
  const left = new Map([...open.keys()].map((partition) => [partition, limit]))
  const { promise: finished, resolve, reject } = Promise.withResolvers<void>()
  signal?.addEventListener('abort', () => resolve(), { once: true })
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    reject(new RetriableError(`Reading ${topic} broke off`, { cause: payload.error }))
  })

  async function take({ batch, heartbeat }: kafkajs.EachBatchPayload): Promise<void> {
    const range = open.get(batch.partition)
    if (!range || signal?.aborted) return
    const records = batch.messages
      .map((m) => toRawRecord(topic, batch.partition, m))
      .filter((r) => r.offset >= range.from && r.offset < range.to)
      .slice(0, left.get(batch.partition))
    for (let i = 0; i < records.length && !signal?.aborted; i += portion) {
      await onRecords(records.slice(i, i + portion))
      await heartbeat()
    }
    // What a rebalance delivers again is not handed over again.
    range.from = Math.max(range.from, Number(batch.lastOffset()) + 1)
    left.set(batch.partition, (left.get(batch.partition) ?? 0) - records.length)
    if (range.from >= range.to || left.get(batch.partition) === 0) {
      open.delete(batch.partition)
      consumer.pause([{ topic, partitions: [batch.partition] }])
    }
    if (open.size === 0) resolve()
  }

  const running = consumer.run({
    autoCommit: false,
    // One partition after the other: `onRecords` is never called twice at a time.
    partitionsConsumedConcurrently: 1,
    eachBatch: (payload) => take(payload).catch(reject),
  })
  // `run` has made the group by now, and fetches later: so the first fetch begins where it should.
  for (const { partition, from } of open.values()) consumer.seek({ topic, partition, offset: String(from) })
  await Promise.race([running.then(() => finished), finished])
}

async function removeGroup(client: kafkajs.Kafka, group: string): Promise<void> {
  const admin = client.admin()
  try {
    await admin.connect()
    await admin.deleteGroups([group])
  } catch {
    // An empty group without commits is forgotten by the broker too, after a while.
  } finally {
    await admin.disconnect()
  }
}
