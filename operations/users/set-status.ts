import { OperatorFault } from '../fault.ts'
import type { Operator } from '../operator.ts'
import type { StatusChange, UserStatus } from './report.ts'

/**
 * Sets a user's status; the trigger on `users` adapts the polling.
 *
 * @param user an id or a Spotify id
 * @throws OperatorFault when the user does not exist
 */
export async function setStatus(
  operator: Operator,
  user: string,
  { status, reason }: { status: UserStatus; reason: string | null },
): Promise<StatusChange> {
  const postgres = await operator.postgres()
  const found = await postgres.transaction(async (sql) => {
    const { rows } = await sql.query<Omit<StatusChange, 'status'>>(
      `select id, spotify_id as "spotifyId", display_name as "displayName", status as before
       from users where id::text = $1 or spotify_id = $1
       order by (id::text = $1) desc limit 1 for update`,
      [user],
    )
    await sql.query(
      `update users set status = $2, status_reason = $3, status_changed_at = now()
       where id = $1 and status <> $2`,
      [rows[0]?.id, status, reason],
    )
    return rows[0]
  })
  if (!found) throw new OperatorFault(`There is no user "${user}"`, 'songswap users list shows them all.')
  return { ...found, status }
}
