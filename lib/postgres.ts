import pg from 'pg'
import { calling, from } from './errors.ts'
import type { Logger } from './log.ts'
import type { Resource } from './scope.ts'
import type { Secret } from './secret.ts'

const int8 = 20
// Ids, offsets and counts stay below 2^53, so int8 can be a JavaScript number.
pg.types.setTypeParser(int8, Number)

/**
 * Formats a list as a Postgres array of one dimension. pg does the same, but for thousands of values it takes longer
 * than Postgres takes for the statement.
 */
export function toArray(values: readonly (string | number | null)[]): string {
  return `{${values.map(toElement).join(',')}}`
}

const special = /["\\]/g

function toElement(value: string | number | null): string | number {
  if (typeof value === 'number') return value
  return value === null ? 'NULL' : `"${value.replace(special, '\\$&')}"`
}

export type Sql = Pick<pg.PoolClient, 'query'>

export interface Postgres extends Resource, Sql {
  query: pg.Pool['query']
  /**
   * Runs `work` in one transaction: committed when it returns, rolled back when it throws.
   * @throws errors of `work` and of the server; {@link isRecordFault} recognises those that are the fault of the rows
   */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>
}

/**
 * A pool of connections.
 *
 * @param options.connections most connections at a time
 * @param options.name shown in pg_stat_activity
 */
export function openPostgres(options: {
  url: Secret
  connections: number
  name: string
  log: Logger
  /** Called when a connection is lost, also an idle one. */
  onLost?: () => void
}): Postgres {
  const pool = new pg.Pool({
    connectionString: options.url.reveal(),
    max: options.connections,
    application_name: `songswap-${options.name}`,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 60_000,
    // When a connection breaks silently, the error of the server's own timeout would never arrive.
    query_timeout: 65_000,
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
  })
  const onError = (err: Error) => {
    options.log.warn({ err }, 'postgres_connection_lost')
    options.onLost?.()
  }
  // An idle connection that dies is replaced at its next use.
  pool.on('error', onError)

  const server = { name: 'postgres', probe: () => pool.query('select 1') }
  const query = (...statement: Parameters<pg.Pool['query']>) =>
    calling(server, async () => pool.query(...statement))

  return {
    query: query as unknown as pg.Pool['query'],
    async transaction(work) {
      const client = await calling(server, () => pool.connect())
      // Without a listener, losing a connection between two queries would be an uncaught exception.
      client.on('error', onError)
      let broken: Error | undefined
      try {
        await client.query('begin')
        const result = await work(client)
        await client.query('commit')
        return result
      } catch (error) {
        await client.query('rollback').catch((err: Error) => {
          broken = err
        })
        throw from(server, error)
      } finally {
        client.off('error', onError)
        client.release(broken)
      }
    },
    close: () => pool.end(),
  }
}
