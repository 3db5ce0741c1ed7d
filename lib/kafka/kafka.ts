import { hostname } from 'node:os'
import type { Codec } from '../codec.ts'
import type { KafkaConfig } from '../config.ts'
import type { Server } from '../errors.ts'
import { calling } from '../errors.ts'
import type { Notice } from '../events.ts'
import { toEvent } from '../events.ts'
import type { Health } from '../health.ts'
import type { Logger } from '../log.ts'
import { metrics } from '../metrics.ts'
import { Outages } from '../outages.ts'
import type { Resource } from '../scope.ts'
import type { Topic } from '../topology.ts'
import { topology } from '../topology.ts'
import { openAdmin } from './admin.ts'
import type { Burials } from './burial.ts'
import { createClient } from './client.ts'
import { toDeadLetterRecords } from './dead-letter.ts'
import { FloodGuard } from './flood-guard.ts'
import { handlerSink } from './handler-sink.ts'
import { NoticeQueue } from './notice-queue.ts'
import { logChangeNotice, toHeldUpRecord } from './notices.ts'
import type { InTurn, SettledBatch } from './partition-worker.ts'
import { Producer } from './producer.ts'
import type { Header, OutRecord } from './record.ts'
import type { Handler, OpenSink } from './sink.ts'
import { ConsumerSupervisor } from './supervisor.ts'

interface ConsumeOptions {
  group: string
  /** Most records and most bytes (of keys and values, uncompressed) of one batch. */
  batchMaxRecords?: number
  batchMaxBytes?: number
  /** A batch in work for longer than this makes `/healthz` fail. */
  stuckAfterMs?: number
  /** Bounds how many batches are in work at a time; by default one of every partition. */
  inTurn?: InTurn
  /** Records that operators have buried; absent if the group has no burials. */
  burials?: Burials
}

interface HandlerOptions<V> extends ConsumeOptions {
  topic: Topic<V>
  handler: Handler<V>
  /**
   * Set if the handler keeps nothing of its records: their memory is then freed as soon as they are settled, without
   * waiting for V8. A record that is read after that is empty.
   */
  freesRecords?: boolean
}

interface SinkOptions<V> extends ConsumeOptions {
  topics: Topic<V>[]
  open: OpenSink<V>
}

export interface Kafka extends Resource {
  /**
   * Encodes and publishes records, in the given order per partition; resolves when every in-sync replica has all.
   * @throws RetriableError when Kafka or the registry stayed away; some records may be in the topic
   */
  publish<V>(
    topic: Topic<V>,
    records: { key: string; value: V; headers?: Header[]; timestamp?: number }[],
  ): Promise<void>
  /** As {@link publish}, for values that are already encoded. */
  publishBytes(topic: string, records: OutRecord[]): Promise<void>
  /**
   * Consumes a topic with a handler. Returns when the consumer is started; it reconnects by itself. Records that cannot
   * be decoded become dead letters without the handler; records redriven to another group are skipped.
   */
  consume<V>(options: HandlerOptions<V>): Promise<void>
  /** Consumes topics with one sink for every partition and generation. */
  consumeInto<V>(options: SinkOptions<V>): Promise<void>
  /** Publishes events under the name of this client; resolves when they are in the topic. */
  publishNotices(...notices: readonly Notice[]): Promise<void>
  /** Queues an event, in memory, until Kafka takes it. */
  notify(notice: Notice): void
  /** The outages that this process waits out; its consumers report here, and other parts may. */
  readonly outages: Outages
}

export interface KafkaOptions {
  config: KafkaConfig
  codec: Codec
  log: Logger
  health: Health
  /** Client id shown to the brokers. */
  name: string
  /** Called when the process cannot go on; see {@link ServiceContext.fail}. */
  fail: (error: unknown) => void
}

const atOnce: InTurn = (work) => work()
const defaults = { batchMaxRecords: 500, batchMaxBytes: 8 << 20, stuckAfterMs: 300_000, inTurn: atOnce }

/** `kill -USR2` opens the flood valves for ten minutes: all dead letters pass. */
const forceValveSignal = 'SIGUSR2'
const forcedForMs = 600_000

/** Opens Kafka; its parts connect when they are first used. Only this folder imports kafkajs. */
export async function openKafka(options: KafkaOptions): Promise<Kafka> {
  const { config, codec, log, health, fail, name } = options
  const client = { config, log, name }
  const producer = new Producer({ client: createClient(client), log })
  const { deadLetters, events } = topology(config.prefix)
  const consumers: Resource[] = []
  const guards = new Set<FloodGuard>()
  const forceValves = () => {
    for (const guard of guards) guard.force(forcedForMs)
  }
  process.on(forceValveSignal, forceValves)

  const server: Server = { name: 'kafka', probe: async () => (await openAdmin(client)).close() }
  const publishBytes: Kafka['publishBytes'] = (topic, records) =>
    calling(server, () => producer.publish(topic, records))

  const publish: Kafka['publish'] = async (topic, records) => {
    const encoded = records.map(async ({ value, ...record }) => ({
      ...record,
      value: await codec.encode(topic, value),
    }))
    await publishBytes(topic.name, await Promise.all(encoded))
  }

  const toRecord = (notice: Notice, at: number) => ({
    key: notice.subject,
    value: toEvent(notice, name, at),
  })
  const publishNotices: Kafka['publishNotices'] = (...all) =>
    publish(
      events,
      all.map((notice) => toRecord(notice, Date.now())),
    )
  const notices = new NoticeQueue((notice, at) => publish(events, [toRecord(notice, at)]), log)
  const notify = (notice: Notice) => notices.add(notice)
  const instance = `${name}@${hostname()}/${crypto.randomUUID().slice(0, 8)}`
  const outages = new Outages({ afterMs: config.outages.downAfterMs, instance, notify })
  health.register('dependencies', () => outages.report())

  async function publishDeadLetters(group: string, batch: SettledBatch): Promise<void> {
    const { deadLetters: letters, attempts } = batch
    if (letters.length === 0) return
    const death = { group, attempts, at: Date.now() }
    await publishBytes(deadLetters.name, toDeadLetterRecords(letters, death))
    for (const { reason } of letters) metrics.deadLetters.inc({ group, reason })
  }

  function start<V>({ group, ...rest }: SinkOptions<V> & { freesRecords: boolean }): void {
    const guard = new FloodGuard({ group, limits: config.flood, notify })
    guards.add(guard)
    consumers.push(
      new ConsumerSupervisor({
        ...defaults,
        ...rest,
        ...config.outages,
        client,
        codec,
        group,
        outages,
        server,
        publishDeadLetters: (place, batch) =>
          guard.settle(place, batch, () => publishDeadLetters(group, batch)),
        onLogChange: (change) => {
          for (const partition of change.partitions)
            outages.passed({ name: group, place: `${change.topic}/${partition}` }, Number.POSITIVE_INFINITY)
          notify(logChangeNotice(group, change))
        },
        onAssigned: (places) => {
          guard.keep(places)
          outages.keep(group, places)
        },
        onHeldUp: (record, words) =>
          outages.heldUp(
            { name: group, place: `${record.topic}/${record.partition}` },
            toHeldUpRecord(record, { group, words, canBury: rest.burials !== undefined }),
          ),
        health,
        fail,
        log,
      }),
    )
  }

  return {
    publish,
    publishBytes,
    publishNotices,
    notify,
    outages,
    consumeInto: async (into) => start({ ...into, freesRecords: false }),
    consume: async ({ topic, handler, freesRecords = false, ...rest }) =>
      start({
        ...rest,
        freesRecords,
        topics: [topic],
        open: (_topic, _partition, signal) => handlerSink({ group: rest.group, handler, log, signal }),
      }),
    async close() {
      process.off(forceValveSignal, forceValves)
      await Promise.all(consumers.map((c) => c.close()))
      outages.close()
      await notices.close()
      await producer.close()
    },
  }
}
