import type { Sql } from '../../lib/postgres.ts'
import type { RefreshCount } from './evaluate.ts'

/** Stretches that `evaluateDeadToken` looks at: five minutes, and the hour in which every token is renewed once. */
const stretchesMs = [5 * 60_000, 60 * 60_000]

/** Users whose refresh token was refused, and others whose token was renewed, over all pollers. */
export async function countRefreshes(sql: Sql): Promise<RefreshCount[]> {
  const { rows } = await sql.query<RefreshCount>(
    `select
       (select count(*) from poll_state s join users u on u.id = s.user_id
         where s.last_error = 'invalid_grant' and s.last_failed_at > w.since
           and (u.status = 'active' or (u.status = 'needs_reauth' and u.status_changed_at > w.since))) as failing,
       (select count(*) from spotify_tokens t join poll_state s using (user_id)
         where t.updated_at > w.since and s.last_error is distinct from 'invalid_grant') as renewed
     from (select now() - make_interval(secs => ms / 1000) as since from unnest($1::float8[]) ms) w`,
    [stretchesMs],
  )
  return rows
}

/**
 * Takes back what was done to users before their dead tokens turned out to be an outage; not of those whose
 * tokens have been dead for so long that it is believed.
 *
 * @returns users who are active again
 */
export async function unparkRecent(sql: Sql, believeAfterMs: number): Promise<number[]> {
  const { rows } = await sql.query<{ id: number }>(
    `update users u set status = 'active', status_reason = null, status_changed_at = now()
     from poll_state s
     where s.user_id = u.id and u.status = 'needs_reauth' and u.status_reason = 'invalid_grant'
       and u.status_changed_at > now() - make_interval(secs => $1::float8 / 1000)
       and s.failing_since > now() - make_interval(secs => $2::float8 / 1000)
     returning u.id`,
    [Math.max(...stretchesMs), believeAfterMs],
  )
  return rows.map((row) => row.id)
}
