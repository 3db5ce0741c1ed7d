import type { Codec } from '../../lib/codec.ts'
import { openCodec } from '../../lib/codec.ts'
import type { KafkaConfig } from '../../lib/config.ts'
import { kafkaConfig, kafkaEnv, parseEnv, postgresEnv } from '../../lib/config.ts'
import { Health } from '../../lib/health.ts'
import type { ClientOptions } from '../../lib/kafka/client.ts'
import { createClient } from '../../lib/kafka/client.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Logger } from '../../lib/log.ts'
import { openLog } from '../../lib/log.ts'
import { migrateAll } from '../../lib/migrate.ts'
import type { Topology } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import { until } from './until.ts'
import type { World } from './world.ts'
import { createWorld } from './world.ts'

/** A world whose database, topics and schemas are in place, with what most tests need at hand. */
export interface Stream extends World {
  config: KafkaConfig
  topology: Topology
  codec: Codec
  log: Logger
  /** A connection of its own, closed with the world; its `fail` rejects {@link Stream.failed}. */
  openKafka(name?: string): Promise<{ kafka: Kafka; health: Health; failures: unknown[] }>
  /** Every record of a topic, read from its beginning to its present end. */
  readTopic(topic: string): Promise<RawRecord[]>
}

export async function createStream(): Promise<Stream> {
  const world = await createWorld()
  const settings = parseEnv({ ...kafkaEnv, ...postgresEnv }, world.env)
  const config = kafkaConfig(settings)
  const log = openLog('test', process.env.TEST_LOG_LEVEL ?? 'silent')
  await migrateAll({ kafka: config, databaseUrl: settings.DATABASE_URL, log })
  const codec = openCodec(config.registryUrl)
  const opened: Kafka[] = []

  return {
    ...world,
    config,
    topology: topology(config.prefix),
    codec,
    log,
    async openKafka(name = 'test') {
      const health = new Health()
      const failures: unknown[] = []
      const kafka = await openKafka({ config, codec, log, health, name, fail: (e) => failures.push(e) })
      opened.push(kafka)
      return { kafka, health, failures }
    },
    readTopic: (topic) => readTopic({ config, log, name: 'test-reader' }, topic),
    async release() {
      await Promise.all(opened.map((k) => k.close()))
      await world.release()
    },
  }
}

/** Every record of a topic, read from its beginning to its present end. */
export async function readTopic(client: ClientOptions, topic: string): Promise<RawRecord[]> {
  const kafka = createClient(client)
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(topic)
  const groupId = `reader-${crypto.randomUUID()}`
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200, retry: { retries: 5 } })
  const records: RawRecord[] = []
  const missing = new Set(ends.filter((e) => Number(e.high) > Number(e.low)).map((e) => e.partition))
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      for (const m of batch.messages) {
        const headers = Object.entries(m.headers ?? {}).flatMap(([name, v]) =>
          [v ?? []].flat().map((value) => ({ name, value: Buffer.from(value) })),
        )
        records.push({
          topic,
          partition: batch.partition,
          offset: Number(m.offset),
          timestamp: Number(m.timestamp),
          key: m.key,
          headers,
          bytes: m.value,
        })
      }
      const end = Number(ends.find((e) => e.partition === batch.partition)?.high ?? 0)
      if (Number(batch.lastOffset()) + 1 >= end) missing.delete(batch.partition)
    },
  })
  await until(() => missing.size === 0, `all of ${topic} is read`)
  await consumer.disconnect()
  await admin.deleteGroups([groupId])
  await admin.disconnect()
  return records
}
