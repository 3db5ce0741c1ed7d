import type { Postgres, Sql } from '../../lib/postgres.ts'
import type { Owner } from './find.ts'

/** Rows of a user, by table. */
export type RowCounts = Record<string, number>

const id = (column: string) => `${column} = $1::bigint`

/** Every table that holds something of a user, and which rows; $1 is the id. `users` comes last: others refer to it. */
const tables: readonly [table: string, rows: string][] = [
  ['plays', id('user_id')],
  ['shown_windows', id('user_id')],
  ['shown_items', id('user_id')],
  ['gaps', id('user_id')],
  ['rejected_items', id('user_id')],
  ['spotify_tokens', id('user_id')],
  ['poll_state', id('user_id')],
  ['consent_warnings', id('user_id')],
  ['incidents', `subject = 'user:' || $1::bigint`],
  ['users', id('id')],
]

export async function countRows(sql: Sql, owner: Owner): Promise<RowCounts> {
  const counts: RowCounts = {}
  for (const [table, rows] of tables) {
    const found = await sql.query<{ n: number }>(`select count(*)::int as n from ${table} where ${rows}`, [
      owner.id,
    ])
    counts[table] = found.rows[0]?.n ?? 0
  }
  return counts
}

/**
 * Removes all rows of a user, in one transaction with the mark that keeps them from coming back. The table of marks
 * is locked first: a loader that has looked into it before has committed by then, and its rows are removed too; one
 * that looks later sees the mark.
 *
 * @returns also whether a poller had the user in hand, whose page may still be on its way
 * @throws a retriable error when a loader does not let go of the table in time
 */
export function removeRows(
  postgres: Postgres,
  owner: Owner,
): Promise<{ tables: RowCounts; polling: boolean }> {
  return postgres.transaction(async (sql) => {
    await sql.query(`set local lock_timeout = '30s'`)
    await sql.query('lock table erased_users in access exclusive mode')
    await sql.query('insert into erased_users (user_id) values ($1) on conflict do nothing', [owner.id])
    // After a loss of the database ids begin again: this one shall not come round.
    await sql.query(
      `select setval('users_id_seq', $1::bigint) from users_id_seq where last_value < $1::bigint`,
      [owner.id],
    )
    const claimed = await sql.query(
      'select from poll_state where user_id = $1 and leased_until > now() for update',
      [owner.id],
    )
    const counts: RowCounts = {}
    for (const [table, rows] of tables) {
      counts[table] = (await sql.query(`delete from ${table} where ${rows}`, [owner.id])).rowCount ?? 0
    }
    return { tables: counts, polling: claimed.rowCount === 1 }
  })
}
