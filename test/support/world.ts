import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { inject } from 'vitest'

/**
 * What a test file has to itself on the shared servers: a database, a prefix for topics and groups, and
 * a prefix in the bucket.
 */
export interface World {
  /** The environment for services and for `readConfig`. */
  env: Record<string, string>
  /** Drops the database. @throws when somebody is still connected: a pool that a test leaked. */
  release(): Promise<void>
}

/** Sessions of a pool that has just ended need a moment to leave. */
const leaveWithinMs = 3_000

export async function createWorld(): Promise<World> {
  const infra = inject('infra')
  const name = `world_${randomBytes(6).toString('hex')}`
  await onMaintenanceDatabase(infra, (client) => client.query(`CREATE DATABASE ${name}`))
  const url = new URL(infra.DATABASE_URL ?? '')
  url.pathname = `/${name}`
  const env = {
    ...infra,
    DATABASE_URL: url.href,
    KAFKA_PREFIX: `${name}.`,
    S3_PREFIX: name,
    LOG_LEVEL: 'warn',
  }
  return { env, release: () => onMaintenanceDatabase(infra, (client) => drop(client, name)) }
}

async function drop(client: Client, name: string): Promise<void> {
  const deadline = performance.now() + leaveWithinMs
  const sessions = async () => {
    const sql = 'SELECT pid, application_name, state, query FROM pg_stat_activity WHERE datname = $1'
    return (await client.query(sql, [name])).rows
  }
  while ((await sessions()).length > 0 && performance.now() < deadline) await delay(50)
  const leaked = await sessions()
  await client.query(`DROP DATABASE ${name} WITH (FORCE)`)
  if (leaked.length > 0) throw new Error(`Connections were left open: ${JSON.stringify(leaked)}`)
}

async function onMaintenanceDatabase(
  infra: Record<string, string>,
  work: (client: Client) => Promise<unknown>,
): Promise<void> {
  const client = new Client({ connectionString: infra.DATABASE_URL })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
