import type { Postgres, Sql } from '../../lib/postgres.ts'

/** What a transaction asks first. */
export interface Opening {
  /** Identifies the server, and its start; or null if this login may not ask. */
  server: string | null
  /** Those of the users who were erased, and all who were erased of late. This transaction may store nothing of theirs. */
  erased: ReadonlySet<string>
}

/**
 * System identifier, timeline and start. A standby that takes over has another timeline, a copy that was restored
 * another identifier; and a start comes after whatever the server may have lost with its memory. Behind a pooler a
 * connection outlives its server, so each transaction asks.
 */
const serverSql = `
  (select system_identifier from pg_control_system())::text
    || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
    || '/' || extract(epoch from pg_postmaster_start_time())`

/** Longer than anything is remembered of a user. */
const erasedOfLate = "interval '1 hour'"

/** Asks first in transactions. */
export class Openings {
  /** Whether this login may ask for the server, or null if not tried. */
  #mayAsk: boolean | null = null

  /**
   * To be called before the transaction: a question that is refused would end it.
   *
   * @throws when the server does not answer at all
   */
  async prepare(postgres: Pick<Postgres, 'query'>): Promise<void> {
    if (this.#mayAsk !== null) return
    await postgres.query('select 1')
    this.#mayAsk = await postgres.query(`select ${serverSql}`).then(
      () => true,
      () => false,
    )
  }

  /** After a failure the login may have lost the right to ask, or got it. */
  forget(): void {
    this.#mayAsk = null
  }

  /** Locks the table of erased users until the transaction ends: an eraser waits for this transaction, and this one for an eraser. */
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
