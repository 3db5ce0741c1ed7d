import type { Codec } from '../../lib/codec.ts'
import { openCodec } from '../../lib/codec.ts'
import type { KafkaConfig } from '../../lib/config.ts'
import { kafkaConfig, kafkaEnv, parseEnv } from '../../lib/config.ts'
import { Health } from '../../lib/health.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { ClientOptions } from '../../lib/kafka/client.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Logger } from '../../lib/log.ts'
import { registerSchemas } from '../../lib/migrate-schemas.ts'
import type { Topology } from '../../lib/topology.ts'
import { allTopics, topology } from '../../lib/topology.ts'
import type { TestDatabase } from './database.ts'
import { createDatabase } from './database.ts'

/** A world with migrated database, topics and schemas. */
export interface Stream extends TestDatabase {
  config: KafkaConfig
  topology: Topology
  codec: Codec
  /** A connection of its own, closed with the world; its `fail` rejects {@link Stream.failed}. */
  openKafka(
    name?: string,
    more?: Partial<KafkaConfig>,
  ): Promise<{ kafka: Kafka; health: Health; failures: unknown[] }>
  /** Every record of a topic, from its beginning to its present end. */
  readTopic(topic: string): Promise<RawRecord[]>
}

export async function createStream(): Promise<Stream> {
  // A test file opens more connections than a service, and each listens for signals.
  process.setMaxListeners(100)
  const database = await createDatabase()
  const config = kafkaConfig(parseEnv(kafkaEnv, database.env))
  const { log } = database
  await migrateKafka(config, log)
  const codec = openCodec(config)
  const opened: Kafka[] = []

  return {
    ...database,
    config,
    topology: topology(config.prefix),
    codec,
    async openKafka(name = 'test', more = {}) {
      const health = new Health()
      const failures: unknown[] = []
      const kafka = await openKafka({
        config: { ...config, ...more },
        codec,
        log,
        health,
        name,
        fail: (e) => failures.push(e),
      })
      opened.push(kafka)
      return { kafka, health, failures }
    },
    readTopic: (topic) => readTopic({ config, log, name: 'test-reader' }, topic),
    async release() {
      await Promise.all(opened.map((k) => k.close()))
      await database.release()
    },
  }
}

/** Makes topics and schemas as `npm run migrate` does. */
async function migrateKafka(config: KafkaConfig, log: Logger): Promise<void> {
  const topics = allTopics(topology(config.prefix))
  const admin = await openAdmin({ config, log, name: 'test' })
  await Promise.all([
    admin.ensureTopics(topics, config.replicationFactor),
    registerSchemas(topics, config.registryUrl),
  ])
  await admin.close()
}

/** Every record of a topic, from its beginning to its present end. */
export async function readTopic(client: ClientOptions, topic: string): Promise<RawRecord[]> {
  const admin = await openAdmin(client)
  const ends = (await admin.readEnds(topic)) ?? []
  await admin.close()
  const records: RawRecord[] = []
  await readRange({
    ...client,
    topic,
    group: `reader-${crypto.randomUUID()}`,
    ranges: ends.map((e) => ({ partition: e.partition, from: e.start, to: e.end })),
    onRecords: async (some) => void records.push(...some),
  })
  return records
}
