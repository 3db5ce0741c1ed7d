import type { Postgres, Sql } from '../../lib/postgres.ts'

/** The answer to the first statement of a transaction. */
export interface Opening {
  /** Identifies the server and its start, or null if this login may not ask. */
  server: string | null
  /** Which of the users were erased, and all users erased recently. This transaction may store nothing of theirs. */
  erased: ReadonlySet<string>
}

/**
 * System identifier, timeline and start of the server. A standby that takes over has another timeline, a restored
 * copy another identifier, and a crashed server another start. Behind a pooler a connection outlives its server, so
 * every transaction asks.
 */
const serverSql = `
  (select system_identifier from pg_control_system())::text
    || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
    || '/' || extract(epoch from pg_postmaster_start_time())`

/** Longer than memory keeps anything about a user. */
const erasedOfLate = "interval '1 hour'"

/** The first statement of transactions. */
export class Openings {
  /** Whether this login may ask for the server, or null if not tried. */
  #mayAsk: boolean | null = null

  /**
   * Call it before the transaction, which a refused question would abort.
   *
   * @throws if the server does not answer at all
   */
  async prepare(postgres: Pick<Postgres, 'query'>): Promise<void> {
    if (this.#mayAsk !== null) return
    await postgres.query('select 1')
    this.#mayAsk = await postgres.query(`select ${serverSql}`).then(
      () => true,
      () => false,
    )
  }

  /** Call it after a failure: the login may have lost or gained the right to ask. */
  forget(): void {
    this.#mayAsk = null
  }

  /** Locks `erased_users` until the transaction ends: it waits for an erasure, and an erasure waits for it. */
  async ask(sql: Sql, userIds: readonly string[]): Promise<Opening> {
    const mayAsk = this.#mayAsk === true
    const { rows } = await sql.query<{ server: string | null; erased: string[] }>({
      name: mayAsk ? 'loader_opening' : 'loader_opening_blind',
      text: `
        select ${mayAsk ? serverSql : 'null::text'} as server,
          array(select user_id::text from erased_users
            where user_id = any ($1::bigint[]) or erased_at > now() - ${erasedOfLate}) as erased`,
      values: [userIds],
    })
    return { server: rows[0]?.server ?? null, erased: new Set(rows[0]?.erased) }
  }
}
