import { consentDaysLeft } from '../../lib/spotify/consent.ts'
import type { Operator } from '../operator.ts'
import type { UserRow, UsersReport } from './report.ts'

/** Every user, by id. */
export async function listUsers(operator: Operator): Promise<UsersReport> {
  const sql = await operator.postgres()
  const { rows } = await sql.query<Omit<UserRow, 'consentDaysLeft'>>(
    `select u.id, u.spotify_id as "spotifyId", u.display_name as "displayName", u.status,
       u.status_reason as "statusReason", u.status_changed_at as "statusChangedAt",
       u.authorized_at as "authorizedAt", s.last_ok_at as "lastOkAt",
       case when isfinite(s.next_poll_at) then s.next_poll_at end as "nextPollAt",
       (select max(played_at) from plays p where p.user_id = u.id) as "newestPlayedAt"
     from users u left join poll_state s on s.user_id = u.id
     order by u.id`,
  )
  const now = new Date()
  return rows.map((user) => ({ ...user, consentDaysLeft: consentDaysLeft(user.authorizedAt, now) }))
}
