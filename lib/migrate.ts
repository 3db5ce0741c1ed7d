import type { KafkaConfig } from './config.ts'
import { openAdmin } from './kafka/admin.ts'
import type { EnsuredTopics } from './kafka/ensure-topics.ts'
import type { Logger } from './log.ts'
import { migrateDatabase } from './migrate-database.ts'
import { MigrationFault } from './migrate-fault.ts'
import { registerSchemas } from './migrate-schemas.ts'
import type { Secret } from './secret.ts'
import type { Topic } from './topology.ts'
import { allTopics, topology } from './topology.ts'

export interface MigrateOptions {
  kafka: KafkaConfig
  databaseUrl: Secret
  log: Logger
  /** Called when something has to be waited for, in words. */
  onWait?: (text: string) => void
}

/** What a migration changed; all empty: everything was up to date. */
export interface MigrateReport {
  migrations: string[]
  topics: EnsuredTopics
  subjects: string[]
}

/**
 * Brings Postgres, topics and registered schemas up to date. Safe at any time and by several at once: one process
 * runs the migrations and the others wait for it; topics and schemas are created only where they are missing.
 *
 * @throws MigrationFault naming the step that failed
 */
export async function migrateAll(options: MigrateOptions): Promise<MigrateReport> {
  const { databaseUrl, kafka, log, onWait = () => undefined } = options
  const topics = allTopics(topology(kafka.prefix))
  const migrations = await step('Postgres', migrateDatabase({ databaseUrl, log, onWait }))
  const ensured = await step('Kafka', migrateTopics(topics, options))
  const subjects = await step('Schema registry', registerSchemas(topics, kafka.registryUrl))
  return { migrations, topics: ensured, subjects }
}

async function migrateTopics(topics: Topic[], { kafka, log }: MigrateOptions): Promise<EnsuredTopics> {
  const admin = await openAdmin({ config: kafka, log, name: 'songswap-migrate' })
  try {
    return await admin.ensureTopics(topics, kafka.replicationFactor)
  } finally {
    await admin.close()
  }
}

async function step<T>(server: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw new MigrationFault(server, cause)
  }
}
