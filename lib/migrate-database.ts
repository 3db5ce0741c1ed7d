import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import { backoffMs, pause } from './backoff.ts'
import type { Logger } from './log.ts'
import { toStrategies } from './migration-files.ts'
import type { Secret } from './secret.ts'

/** Held by the one process that migrates. */
const advisoryLock = 7_241_865_325_823_964
/**
 * How long a statement waits for a lock on a table. Other sessions queue up behind a statement that waits, so it fails
 * soon and the migration is tried again.
 */
const lockTimeoutMs = 4_000
/** With the waits for locks and the backoff between them, about 13 minutes. */
const mostAttempts = 30
const lockNotAvailable = '55P03'
const turnAskedEveryMs = 250

export interface MigrateDatabaseOptions {
  databaseUrl: Secret
  log: Logger
  /** Called with the reason when the migration has to wait. */
  onWait: (text: string) => void
}

/**
 * Runs the missing migrations of `db/migrations`, each in its own transaction unless it says otherwise. One process
 * migrates while the others wait for it. When a table is busy, the migration is tried again; its readers are not held
 * up.
 *
 * @returns names of the migrations that ran
 * @throws the server's error
 */
export async function migrateDatabase(options: MigrateDatabaseOptions): Promise<string[]> {
  const turn = await takeTurn(options)
  try {
    return await untilNothingIsBusy(options)
  } finally {
    await turn.end().catch(() => undefined)
  }
}

async function untilNothingIsBusy(options: MigrateDatabaseOptions): Promise<string[]> {
  const { log, onWait } = options
  const ran: string[] = []
  for (let attempt = 1; ; attempt++) {
    try {
      ran.push(...(await runMigrations(options)))
      return ran
    } catch (error) {
      if (!isLockTimeout(error) || attempt === mostAttempts) throw error
      const delayMs = backoffMs(attempt)
      log.warn({ attempt, delayMs }, 'migration_waits_for_a_lock')
      onWait('Another session holds a lock on a table that the migration changes; trying again.')
      await pause(delayMs)
    }
  }
}

/**
 * The turn lasts as long as the transaction of this connection. A pooler in transaction mode may change the session
 * with every statement, and a session lock would stay behind without an owner; a transaction keeps its session.
 *
 * A waiting process polls for the turn, in a new transaction each time. `create index concurrently` waits for all
 * transactions that hold a snapshot, and a transaction that waits for the lock holds one. So does an idle transaction
 * after a query with parameters, until its next query; without parameters it holds none, so this one has none.
 */
async function takeTurn(options: MigrateDatabaseOptions): Promise<pg.Client> {
  const client = await connect(options)
  try {
    for (let attempt = 1; ; attempt++) {
      await client.query('begin')
      await client.query('set local idle_in_transaction_session_timeout = 0')
      const { rows } = await client.query<{ taken: boolean }>(
        `select pg_try_advisory_xact_lock(${advisoryLock}) as taken`,
      )
      if (rows[0]?.taken) return client
      await client.query('rollback')
      if (attempt === 1) options.onWait('Another migration is under way; waiting for its end.')
      await pause(turnAskedEveryMs)
    }
  } catch (error) {
    await client.end().catch(() => undefined)
    throw error
  }
}

async function runMigrations(options: MigrateDatabaseOptions): Promise<string[]> {
  const { log } = options
  const client = await connect(options)
  try {
    const isLimited = await limitLocks(client, options)
    const ran = await runner({
      dbClient: client,
      dir: fileURLToPath(new URL('../db/migrations', import.meta.url)),
      migrationsTable: 'migrations',
      migrationLoaderStrategies: toStrategies({ lockTimeoutMs: isLimited ? lockTimeoutMs : null }),
      direction: 'up',
      count: Number.POSITIVE_INFINITY,
      // Versions may add files with the same number, so a missing file runs even if later ones ran before.
      checkOrder: false,
      // The caller has the turn; the tool's own lock is a session lock.
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

/**
 * Limits how long a statement waits for a lock on a table. Not through a pooler: there the setting would stay on a
 * session that another client gets next.
 *
 * @returns whether the limit is set
 */
async function limitLocks(client: pg.Client, { onWait }: MigrateDatabaseOptions): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  if (rows[0]?.pid === processIdOf(client)) {
    await client.query(`set lock_timeout = ${lockTimeoutMs}`)
    return true
  }
  onWait(
    'DATABASE_URL leads through a pooler: a busy table holds up the migration and everybody behind it. Better migrate at the server itself.',
  )
  return false
}

/** The process id that came with the connection; a pooler invents one. */
function processIdOf(client: pg.Client): unknown {
  return Reflect.get(client, 'processID')
}

async function connect({ databaseUrl, log }: MigrateDatabaseOptions): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: databaseUrl.reveal(),
    application_name: 'songswap-migrate',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  })
  // Without a listener, losing the connection between two queries would be an uncaught exception.
  client.on('error', (err) => log.warn({ err }, 'postgres_connection_lost'))
  await client.connect()
  return client
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === lockNotAvailable
}
