import type { Sql } from '../../lib/postgres.ts'
import { CliFault } from '../fault.ts'
import { toPrintable } from '../table.ts'

/** Whose data are meant. */
export interface Owner {
  id: number
  /** null: the user's row is gone (erased, or lost with the database); what is left goes by the id. */
  spotifyId: string | null
  /** When the user was erased for the first time. */
  erasedAt: Date | null
}

/**
 * @param user an id, or else a Spotify id
 * @throws CliFault when it can be neither
 */
export async function findOwner(sql: Sql, user: string): Promise<Owner> {
  const { rows } = await sql.query<Owner>(
    `select id, spotify_id as "spotifyId", null as "erasedAt" from users where id::text = $1 or spotify_id = $1
     order by (id::text = $1) desc limit 1`,
    [user],
  )
  if (rows[0]) return rows[0]
  if (/^[1-9]\d{0,14}$/.test(user)) {
    const erased = await sql.query<{ at: Date }>(
      'select erased_at as at from erased_users where user_id = $1',
      [user],
    )
    return { id: Number(user), spotifyId: null, erasedAt: erased.rows[0]?.at ?? null }
  }
  throw new CliFault(`There is no user "${toPrintable(user)}"`, 'songswap users list shows them all.')
}
