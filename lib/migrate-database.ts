import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import { backoffMs, pause } from './kafka/pause.ts'
import type { Logger } from './log.ts'
import type { Secret } from './secret.ts'

/** Held by the one process that migrates. */
const advisoryLock = 7_241_865_325_823_964
/**
 * How long a statement waits for a lock on a table. A statement that waits makes everybody behind it wait as well,
 * so it gives up soon and the migration is tried again.
 */
const lockTimeoutMs = 4_000
/** With the backoff between them, about ten minutes. */
const mostAttempts = 30
const lockNotAvailable = '55P03'

export interface MigrateDatabaseOptions {
  databaseUrl: Secret
  log: Logger
  /** Called when the migration has to wait, with what it waits for. */
  onWait: (text: string) => void
}

/**
 * Runs the migrations of `db/migrations` that are missing, each in a transaction of its own. One process migrates,
 * the others wait for it. A table that is busy is tried again and does not hold up its readers meanwhile.
 *
 * @returns names of the migrations that ran
 * @throws the server's error
 */
export async function migrateDatabase(options: MigrateDatabaseOptions): Promise<string[]> {
  const ran: string[] = []
  for (let attempt = 1; ; attempt++) {
    try {
      ran.push(...(await migrateOnce(options)))
      return ran
    } catch (error) {
      if (!isLockTimeout(error) || attempt === mostAttempts) throw error
      const delayMs = backoffMs(attempt)
      options.log.warn({ attempt, delayMs }, 'migration_waits_for_a_lock')
      options.onWait('Another session holds a lock on a table that the migration changes; trying again.')
      await pause(delayMs)
    }
  }
}

async function migrateOnce({ databaseUrl, log, onWait }: MigrateDatabaseOptions): Promise<string[]> {
  const client = new pg.Client({
    connectionString: databaseUrl.reveal(),
    application_name: 'songswap-migrate',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  })
  // Without a listener the death of the connection between two queries would be an uncaught exception.
  client.on('error', (err) => log.warn({ err }, 'postgres_connection_lost'))
  await client.connect()
  try {
    await takeTurn(client, onWait)
    await client.query(`set lock_timeout = ${lockTimeoutMs}`)
    const ran = await runner({
      dbClient: client,
      dir: fileURLToPath(new URL('../db/migrations', import.meta.url)),
      migrationsTable: 'migrations',
      direction: 'up',
      count: Number.POSITIVE_INFINITY,
      // The lock is taken above: the tool's own is under the lock timeout as well.
      noLock: true,
      logger: {
        debug: () => undefined,
        info: (text) => log.debug({ text }, 'migration'),
        warn: (text) => log.warn({ text }, 'migration'),
        error: (text) => log.error({ text }, 'migration'),
      },
    })
    return ran.map((migration) => migration.name)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** The lock goes with the session. */
async function takeTurn(client: pg.Client, onWait: (text: string) => void): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [
    advisoryLock,
  ])
  if (rows[0]?.taken) return
  onWait('Another migration is under way; waiting for its end.')
  await client.query('select pg_advisory_lock($1)', [advisoryLock])
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === lockNotAvailable
}
