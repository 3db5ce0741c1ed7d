import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from 'pg'
import { inject } from 'vitest'
import { onMaintenanceDatabase } from './maintenance.ts'

/**
 * A test file's own part of the shared servers: a database, a prefix of topics and groups, and a prefix in the
 * bucket.
 */
export interface World {
  /** The environment for services and for `readConfig`. */
  env: Record<string, string>
  /** Drops the database. @throws if a session is still connected: a test has leaked a pool */
  release(): Promise<void>
}

/** Time in which the sessions of an ended pool disconnect. */
const leaveWithinMs = 3_000

/** @param template database to copy; default: an empty database */
export async function createWorld(template?: string): Promise<World> {
  const infra = inject('infra')
  const name = `world_${randomBytes(6).toString('hex')}`
  const from = template === undefined ? '' : ` TEMPLATE ${template}`
  await onMaintenanceDatabase(infra, (client) => client.query(`CREATE DATABASE ${name}${from}`))
  const url = new URL(infra.DATABASE_URL ?? '')
  url.pathname = `/${name}`
  const env = {
    ...infra,
    DATABASE_URL: url.href,
    KAFKA_PREFIX: `${name}.`,
    S3_PREFIX: name,
    LOG_LEVEL: 'warn',
    // The shortest that a broker accepts: after it a killed member's partitions are free.
    KAFKA_SESSION_TIMEOUT_SECONDS: '6',
    SCHEMA_UNKNOWN_SECONDS: '1',
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
