import type { Postgres, Sql } from '../../lib/postgres.ts'

/** A user as the commands show them. */
export interface UserRow {
  id: number
  spotifyId: string
  displayName: string | null
  status: 'active' | 'needs_reauth' | 'forbidden' | 'paused'
  statusReason: string | null
  statusChangedAt: Date
  /** null: not known. */
  authorizedAt: Date | null
  lastOkAt: Date | null
  /** null: not to be polled. */
  nextPollAt: Date | null
  newestPlayedAt: Date | null
}

/** Every user, by id. */
export async function readUsers(sql: Sql): Promise<UserRow[]> {
  const { rows } = await sql.query<UserRow>(
    `select u.id, u.spotify_id as "spotifyId", u.display_name as "displayName", u.status,
       u.status_reason as "statusReason", u.status_changed_at as "statusChangedAt",
       u.authorized_at as "authorizedAt", s.last_ok_at as "lastOkAt",
       case when isfinite(s.next_poll_at) then s.next_poll_at end as "nextPollAt",
       (select max(played_at) from plays p where p.user_id = u.id) as "newestPlayedAt"
     from users u left join poll_state s on s.user_id = u.id
     order by u.id`,
  )
  return rows
}

/** What a change of status found and left. */
export interface StatusChange {
  id: number
  spotifyId: string
  displayName: string | null
  before: UserRow['status']
}

/**
 * Sets a user's status; the trigger on users moves the polling with it.
 *
 * @param user an id, or else a Spotify id
 * @returns null: there is no such user
 */
export function changeStatus(
  postgres: Postgres,
  user: string,
  to: { status: UserRow['status']; reason: string | null },
): Promise<StatusChange | null> {
  return postgres.transaction(async (sql) => {
    const { rows } = await sql.query<StatusChange>(
      `select id, spotify_id as "spotifyId", display_name as "displayName", status as before
       from users where id::text = $1 or spotify_id = $1
       order by (id::text = $1) desc limit 1 for update`,
      [user],
    )
    const [found] = rows
    if (!found) return null
    if (found.before !== to.status) {
      await sql.query(
        'update users set status = $2, status_reason = $3, status_changed_at = now() where id = $1',
        [found.id, to.status, to.reason],
      )
    }
    return found
  })
}
