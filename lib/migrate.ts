import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import { request } from 'undici'
import type { KafkaConfig } from './config.ts'
import { RetriableError } from './errors.ts'
import { openAdmin } from './kafka/admin.ts'
import type { Logger } from './log.ts'
import type { Secret } from './secret.ts'
import type { Topic } from './topology.ts'
import { allTopics, schemaCompatibility, subjectOf, topology } from './topology.ts'

export interface MigrateOptions {
  kafka: KafkaConfig
  databaseUrl: Secret
  log: Logger
}

/** What a migration changed; all empty: everything was up to date. */
export interface MigrateReport {
  migrations: string[]
  topics: string[]
  subjects: string[]
}

/**
 * Brings Postgres, topics and registered schemas up to date. Safe at any time and by several at once: the
 * migrations run under an advisory lock, topics and schemas are created only where they are missing.
 *
 * @throws the server's error, with the server's name in front
 */
export async function migrateAll(options: MigrateOptions): Promise<MigrateReport> {
  const topics = allTopics(topology(options.kafka.prefix))
  const migrations = await named('Postgres', migratePostgres(options))
  const created = await named('Kafka', migrateTopics(topics, options))
  const subjects = await named('Schema registry', registerSchemas(topics, options.kafka.registryUrl))
  return { migrations, topics: created, subjects }
}

async function migratePostgres({ databaseUrl, log }: MigrateOptions): Promise<string[]> {
  const ran = await runner({
    databaseUrl: databaseUrl.reveal(),
    dir: fileURLToPath(new URL('../db/migrations', import.meta.url)),
    migrationsTable: 'migrations',
    direction: 'up',
    count: Number.POSITIVE_INFINITY,
    // Several at once wait for one another.
    noLock: false,
    lockValue: advisoryLock,
    logger: {
      debug: () => undefined,
      info: (text) => log.debug({ text }, 'migration'),
      warn: (text) => log.warn({ text }, 'migration'),
      error: (text) => log.error({ text }, 'migration'),
    },
  })
  return ran.map((m) => m.name)
}

const advisoryLock = 7_241_865_325_823_964

async function migrateTopics(topics: Topic[], { kafka, log }: MigrateOptions): Promise<string[]> {
  const admin = await openAdmin({ config: kafka, log, name: 'songswap-migrate' })
  try {
    return await admin.ensureTopics(topics, kafka.replicationFactor)
  } finally {
    await admin.close()
  }
}

/** @returns subjects whose schema was not registered before */
async function registerSchemas(topics: Topic[], registryUrl: string): Promise<string[]> {
  const fresh: string[] = []
  for (const topic of topics.filter((t) => t.schema)) {
    const subject = subjectOf(topic)
    const schema = JSON.stringify(topic.schema)
    if (!(await isRegistered(registryUrl, subject, schema))) {
      await expectOk(registryCall(registryUrl, 'POST', `/subjects/${subject}/versions`, { schema }), subject)
      await untilRegistered(registryUrl, subject, schema)
      fresh.push(subject)
    }
    await expectOk(
      registryCall(registryUrl, 'PUT', `/config/${subject}`, { compatibility: schemaCompatibility }),
      subject,
    )
  }
  return fresh
}

async function isRegistered(registryUrl: string, subject: string, schema: string): Promise<boolean> {
  const call = registryCall(registryUrl, 'POST', `/subjects/${subject}`, { schema })
  if ((await call).status === 404) return false
  await expectOk(call, subject)
  return true
}

/** A registry may answer from what it knew a moment ago; producers look their schema up as soon as we are done. */
async function untilRegistered(registryUrl: string, subject: string, schema: string): Promise<void> {
  const deadline = Date.now() + registeredWithinMs
  while (!(await isRegistered(registryUrl, subject, schema))) {
    if (Date.now() > deadline) throw new RetriableError(`${subject}: registered, but not found`)
    await sleep(100)
  }
}

const registeredWithinMs = 15_000

interface RegistryAnswer {
  status: number
  body: string
}

async function registryCall(
  base: string,
  method: 'POST' | 'PUT',
  path: string,
  body: unknown,
): Promise<RegistryAnswer> {
  const response = await request(`${base}${path}`, {
    method,
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify(body),
    headersTimeout: 15_000,
  })
  return { status: response.statusCode, body: await response.body.text() }
}

async function expectOk(call: Promise<RegistryAnswer>, subject: string): Promise<void> {
  const { status, body } = await call
  if (status >= 500) throw new RetriableError(`${subject}: HTTP ${status} ${body}`)
  if (status >= 300) throw new Error(`${subject}: HTTP ${status} ${body}`)
}

async function named<T>(server: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Error)
      error.message = `${server}: ${error.message || ('code' in error ? error.code : error.name)}`
    throw error
  }
}
