import type { KafkaConfig } from './config.ts'
import { messageOf } from './errors.ts'
import { openAdmin } from './kafka/admin.ts'
import type { EnsuredTopics } from './kafka/ensure-topics.ts'
import type { Logger } from './log.ts'
import { migrateDatabase } from './migrate-database.ts'
import { MigrationFault } from './migrate-fault.ts'
import { registerSchemas } from './migrate-schemas.ts'
import { openPostgres } from './postgres.ts'
import type { Secret } from './secret.ts'
import { findInBrokers, findInDatabase, findInRegistry } from './server-settings/read.ts'
import type { UnsafeSetting } from './server-settings/rules.ts'
import type { Topic } from './topology.ts'
import { allTopics, topology } from './topology.ts'

export interface MigrateOptions {
  kafka: KafkaConfig
  databaseUrl: Secret
  log: Logger
  /** Called with the reason, for a person, when the migration has to wait. */
  onWait?: (text: string) => void
}

/** What a migration changed; all empty if everything was up to date. */
export interface MigrateReport {
  migrations: string[]
  topics: EnsuredTopics
  subjects: string[]
  settings: CheckedSettings
}

/** The result of checking the servers' settings; see docs/operations/server-settings.md. */
export interface CheckedSettings {
  unsafe: UnsafeSetting[]
  /** Servers whose settings could not be read, each with the error. */
  unchecked: string[]
}

/**
 * Brings Postgres, topics and registered schemas up to date. Safe at any time and in several processes at once: one
 * runs the migrations while the others wait for it; topics and schemas are created only where they are missing.
 *
 * @throws MigrationFault naming the step that failed
 */
export async function migrateAll(options: MigrateOptions): Promise<MigrateReport> {
  const { databaseUrl, kafka, log, onWait = () => undefined } = options
  const topics = allTopics(topology(kafka.prefix))
  const migrations = await step('Postgres', migrateDatabase({ databaseUrl, log, onWait }))
  const ensured = await step('Kafka', migrateTopics(topics, options))
  const subjects = await step('Schema registry', registerSchemas(topics, kafka.registryUrl))
  return { migrations, topics: ensured, subjects, settings: await checkSettings(options) }
}

async function checkSettings({ kafka, databaseUrl, log }: MigrateOptions): Promise<CheckedSettings> {
  const unchecked: string[] = []
  const check = async (server: string, find: () => Promise<UnsafeSetting[]>) => {
    try {
      return await find()
    } catch (error) {
      unchecked.push(`${server}: ${messageOf(error)}`)
      return []
    }
  }
  const name = 'songswap-migrate'
  const unsafe = [
    await check('Postgres', async () => {
      const postgres = openPostgres({ url: databaseUrl, connections: 1, name: 'migrate', log })
      return findInDatabase(postgres).finally(() => postgres.close())
    }),
    await check('Kafka', async () => {
      const admin = await openAdmin({ config: kafka, log, name })
      return findInBrokers(admin).finally(() => admin.close())
    }),
    await check('Schema registry', () => findInRegistry(kafka.registryUrl)),
  ]
  return { unsafe: unsafe.flat(), unchecked }
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
