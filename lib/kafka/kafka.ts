import type { Codec } from '../codec.ts'
import type { KafkaConfig } from '../config.ts'
import { toEvent } from '../events.ts'
import type { Health } from '../health.ts'
import type { Logger } from '../log.ts'
import { metrics } from '../metrics.ts'
import type { Resource } from '../scope.ts'
import type { Topic } from '../topology.ts'
import { topology } from '../topology.ts'
import { createClient } from './client.ts'
import { openConsumer } from './consumer.ts'
import { deadLetterHeaders } from './dead-letter.ts'
import { handlerSink } from './handler-sink.ts'
import { openProducer } from './producer.ts'
import type { Header } from './record.ts'
import type { Handler, PartitionSink, Settled } from './sink.ts'

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
  consume<V>(options: ConsumeOptions & { topic: Topic<V>; handler: Handler<V> }): Promise<void>
  /** Consumes topics with a sink of its own for every partition and term of ownership. */
  consumeInto<V>(options: ConsumeOptions & { topics: Topic<V>[]; open: OpenSink<V> }): Promise<void>
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

const defaults = { batchMaxRecords: 500, batchMaxBytes: 8 << 20, stuckAfterMs: 300_000 }

/** Connects to Kafka. The only door to it: kafkajs is imported in this folder alone. */
export async function openKafka(options: KafkaOptions): Promise<Kafka> {
  const { config, codec, log, health, fail, name } = options
  const client = { config, log, name }
  const producer = await openProducer({ client: createClient(client), log })
  const { deadLetters, events } = topology(config.prefix)
  const consumers: Resource[] = []

  const publish: Kafka['publish'] = async (topic, records) => {
    const encoded = records.map(async ({ value, ...record }) => ({
      ...record,
      value: await codec.encode(topic, value),
    }))
    await producer.publish(topic.name, await Promise.all(encoded))
  }

  async function publishDeadLetters(group: string, settled: Settled, attempts: number): Promise<void> {
    const at = Date.now()
    await producer.publish(
      deadLetters.name,
      settled.deadLetters.map(({ record, reason, message }) => ({
        key: record.key,
        value: record.bytes,
        timestamp: record.timestamp,
        headers: deadLetterHeaders(record, { group, reason, message, attempts, at }),
      })),
    )
    for (const { reason } of settled.deadLetters) metrics.deadLetters.inc({ group, reason })
  }

  function warnOutOfRange(group: string, text: string): void {
    log.error({ group, text }, 'offset_out_of_range')
    const notice = {
      type: 'offset_out_of_range',
      subject: `group:${group}`,
      severity: 'critical',
      message: `${group} asked for records that the topic has already forgotten and goes on at the earliest one. Compare with the archive: songswap audit.`,
    } as const
    publish(events, [{ key: notice.subject, value: toEvent(notice, name, Date.now()) }]).catch((err) =>
      log.error({ err }, 'event_not_published'),
    )
  }

  const consumeInto: Kafka['consumeInto'] = async ({ group, topics, open, ...limits }) => {
    consumers.push(
      openConsumer({
        ...defaults,
        ...limits,
        client,
        codec,
        group,
        topics,
        open,
        publishDeadLetters: (settled, attempts) => publishDeadLetters(group, settled, attempts),
        onOffsetOutOfRange: (text) => warnOutOfRange(group, text),
        health,
        fail,
        log,
      }),
    )
  }

  return {
    publish,
    publishBytes: producer.publish,
    consumeInto,
    consume: ({ topic, handler, ...rest }) =>
      consumeInto({
        ...rest,
        topics: [topic],
        open: (_topic, _partition, signal) => handlerSink({ group: rest.group, handler, log, signal }),
      }),
    async close() {
      await Promise.all(consumers.map((c) => c.close()))
      await producer.close()
    },
  }
}
