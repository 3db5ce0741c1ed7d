import type { Sql } from '../../lib/postgres.ts'
import { OperatorFault } from '../fault.ts'
import type { Owner } from './report.ts'

/** The first match of: the id of a user, the id of an erased user, a Spotify id. */
const candidatesSql = `
  select id, "spotifyId", "erasedAt" from (
    select 1 as rank, id, spotify_id as "spotifyId", null::timestamptz as "erasedAt" from users where id::text = $1
    union all
    select 2, user_id, null, erased_at from erased_users where user_id::text = $1
    union all
    select 3, id, spotify_id, null from users where spotify_id = $1
  ) candidates order by rank limit 1`

/**
 * @param user an id or a Spotify id, which may be a number too
 * @throws OperatorFault when it is neither
 */
export async function findOwner(sql: Sql, user: string): Promise<Owner> {
  const { rows } = await sql.query<Owner>(candidatesSql, [user])
  if (rows[0]) return rows[0]
  // The rows may have been lost with the database: what is left elsewhere goes by the id.
  if (/^[1-9]\d{0,14}$/.test(user)) return { id: Number(user), spotifyId: null, erasedAt: null }
  throw new OperatorFault(
    `There is no user "${user}"`,
    'songswap users list shows them all; those who were erased go by their id.',
  )
}
