import type { Sql } from '../../lib/postgres.ts'

/** Ids of erased users, as text like in record keys. */
export async function readErasedUsers(sql: Sql): Promise<ReadonlySet<string>> {
  const { rows } = await sql.query<{ user_id: string }>('select user_id::text from erased_users')
  return new Set(rows.map((row) => row.user_id))
}
