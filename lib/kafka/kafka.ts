import type { Codec } from '../codec.ts'
import type { KafkaConfig } from '../config.ts'
import type { Notice } from '../events.ts'
import { toEvent } from '../events.ts'
import type { Health } from '../health.ts'
import type { Logger } from '../log.ts'
import { metrics } from '../metrics.ts'
import type { Resource } from '../scope.ts'
import type { Topic } from '../topology.ts'
import { topology } from '../topology.ts'
import { createClient } from './client.ts'
import { openConsumer } from './consumer.ts'
import { toDeadLetterRecords } from './dead-letter.ts'
import { FloodError, FloodValve } from './flood-valve.ts'
import { handlerSink } from './handler-sink.ts'
import type { LogChange } from './log-guard.ts'
import type { InTurn, SettledBatch } from './partition-worker.ts'
import { openProducer } from './producer.ts'
import type { Header } from './record.ts'
import type { Handler, PartitionSink } from './sink.ts'

export interface OutRecord {
  key: Buffer | string | null
  /** null: a tombstone. */
  value: Buffer | null
  headers?: Header[]
  /** Unix time in milliseconds; absent: now. */
  timestamp?: number
  /** Absent: murmur2 of the key, as in the Java client. */
  partition?: number
}

/**
 * Makes the sink of a partition for one term of ownership. The signal is aborted when the term ends: what the
 * sink has in hand may be cut short.
 */
export type OpenSink<V> = (topic: string, partition: number, signal: AbortSignal) => PartitionSink<V>

interface ConsumeOptions {
  group: string
  /** Most records and most bytes (of values, uncompressed) of one batch. */
  batchMaxRecords?: number
  batchMaxBytes?: number
  /** A batch in work for longer than this makes `/healthz` fail. */
  stuckAfterMs?: number
  /** Bounds how many batches are in work at a time; absent: one of every partition. */
  inTurn?: InTurn
}

interface HandlerOptions<V> extends ConsumeOptions {
  topic: Topic<V>
  handler: Handler<V>
  /**
   * The handler keeps nothing of its records: their memory is freed when they are settled, and not when V8 finds
   * the time. A record that is looked at all the same is empty.
   */
  freesRecords?: boolean
}

interface SinkOptions<V> extends ConsumeOptions {
  topics: Topic<V>[]
  open: OpenSink<V>
}

export interface Kafka extends Resource {
  /**
   * Encodes and publishes; resolves when every in-sync replica has all of them, in the order given per partition.
   * @throws RetriableError when Kafka or the registry stayed away; some records may be in the topic then
   */
  publish<V>(
    topic: Topic<V>,
    records: { key: string; value: V; headers?: Header[]; timestamp?: number }[],
  ): Promise<void>
  /** As {@link publish}, of bytes that are encoded already. */
  publishBytes(topic: string, records: OutRecord[]): Promise<void>
  /**
   * Consumes a topic with a handler; returns when the consumer was started (it reconnects for ever by itself).
   * Records that cannot be decoded become dead letters without the handler; records redriven to another group
   * are skipped.
   */
  consume<V>(options: HandlerOptions<V>): Promise<void>
  /** Consumes topics with a sink of its own for every partition and term of ownership. */
  consumeInto<V>(options: SinkOptions<V>): Promise<void>
}

export interface KafkaOptions {
  config: KafkaConfig
  codec: Codec
  log: Logger
  health: Health
  /** Client id shown to the brokers. */
  name: string
  /** The process cannot go on; see {@link ServiceContext.fail}. */
  fail: (error: unknown) => void
}

const atOnce: InTurn = (work) => work()
const defaults = { batchMaxRecords: 500, batchMaxBytes: 8 << 20, stuckAfterMs: 300_000, inTurn: atOnce }

/** A consumer that stopped for a flood of dead letters tries again this often. */
const floodTrialMs = 5_000
/** `kill -USR2` makes a stopped consumer take everything for ten minutes, whatever becomes of it. */
const forceValveSignal = 'SIGUSR2'
const forcedForMs = 600_000

/** Connects to Kafka. The only door to it: kafkajs is imported in this folder alone. */
export async function openKafka(options: KafkaOptions): Promise<Kafka> {
  const { config, codec, log, health, fail, name } = options
  const client = { config, log, name }
  const producer = await openProducer({ client: createClient(client), log })
  const { deadLetters, events } = topology(config.prefix)
  const consumers: Resource[] = []
  const valves = new Set<FloodValve>()
  const forceValves = () => {
    for (const valve of valves) valve.force(performance.now() + forcedForMs)
  }
  process.on(forceValveSignal, forceValves)

  const publish: Kafka['publish'] = async (topic, records) => {
    const encoded = records.map(async ({ value, ...record }) => ({
      ...record,
      value: await codec.encode(topic, value),
    }))
    await producer.publish(topic.name, await Promise.all(encoded))
  }

  async function publishDeadLetters(
    group: string,
    { deadLetters: letters, attempts }: SettledBatch,
  ): Promise<void> {
    if (letters.length === 0) return
    const death = { group, attempts, at: Date.now() }
    await producer.publish(deadLetters.name, toDeadLetterRecords(letters, death))
    for (const { reason } of letters) metrics.deadLetters.inc({ group, reason })
  }

  /** @throws FloodError */
  function stopFlood(valve: FloodValve, group: string, batch: SettledBatch): void {
    const verdict = valve.judge(
      { records: batch.records, deadLetters: batch.deadLetters.length },
      performance.now(),
    )
    if (verdict === 'close' || verdict === 'reopen') notify(floodNotice(group, verdict, batch))
    metrics.floodValveClosed.set({ group }, valve.closed ? 1 : 0)
    if (verdict === 'close' || verdict === 'refuse') throw new FloodError(floodTrialMs)
  }

  /** Tells operators; what cannot be told is in the log. */
  function notify(notice: Notice): void {
    log.error({ ...notice }, 'notice')
    publish(events, [{ key: notice.subject, value: toEvent(notice, name, Date.now()) }]).catch((err) =>
      log.error({ err }, 'event_not_published'),
    )
  }

  async function start<V>({ group, ...rest }: SinkOptions<V> & { freesRecords: boolean }): Promise<void> {
    const valve = new FloodValve(config.flood)
    valves.add(valve)
    consumers.push(
      openConsumer({
        ...defaults,
        ...rest,
        client,
        codec,
        group,
        publishDeadLetters: async (batch) => {
          stopFlood(valve, group, batch)
          await publishDeadLetters(group, batch)
        },
        onLogChange: (change) => notify(logChangeNotice(group, change)),
        health,
        fail,
        log,
      }),
    )
  }

  return {
    publish,
    publishBytes: producer.publish,
    consumeInto: (into) => start({ ...into, freesRecords: false }),
    consume: ({ topic, handler, freesRecords = false, ...rest }) =>
      start({
        ...rest,
        freesRecords,
        topics: [topic],
        open: (_topic, _partition, signal) => handlerSink({ group: rest.group, handler, log, signal }),
      }),
    async close() {
      process.off(forceValveSignal, forceValves)
      await Promise.all(consumers.map((c) => c.close()))
      await producer.close()
    },
  }
}

function logChangeNotice(group: string, { topic, verdict, partitions }: LogChange): Notice {
  const details = { topic, partitions: partitions.join(',') }
  const notice = { subject: `group:${group}`, severity: 'critical' as const, details }
  if (verdict === 'forgotten') {
    return {
      ...notice,
      type: 'offset_out_of_range',
      message: `${group} asked for records that ${topic} has already forgotten and goes on at the earliest one. The archive may still have them.`,
    }
  }
  return {
    ...notice,
    type: 'log_replaced',
    message: `${topic} is not the log that ${group} had read: it was made again, or has lost its end. ${group} reads it from the earliest record; what comes twice changes nothing. What the old log held and nobody had read is lost.`,
  }
}

function floodNotice(group: string, verdict: 'close' | 'reopen', batch: SettledBatch): Notice {
  const subject = `group:${group}`
  if (verdict === 'reopen') {
    const message = `${group} takes records again.`
    return { type: 'dead_letter_flood', subject, severity: 'info', state: 'resolved', message }
  }
  const [example] = batch.deadLetters
  return {
    type: 'dead_letter_flood',
    subject,
    severity: 'critical',
    message: `${group} has stopped: too many records become dead letters (${example?.reason}: ${example?.message}). It goes on by itself when the cause is gone; to let them through, send SIGUSR2 to the process.`,
    details: { reason: example?.reason ?? '', partition: String(example?.record.partition ?? '') },
  }
}
