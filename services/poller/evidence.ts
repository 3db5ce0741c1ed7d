import type { Sql } from '../../lib/postgres.ts'
import { consentsLiveFrom } from '../../lib/spotify/consent.ts'
import type { OutcomeType } from '../../lib/spotify/outcome.ts'
import { refusals } from '../../lib/spotify/outcome-rules.ts'
import type { Evidence } from './blame.ts'
import { isMass } from './blame.ts'

/** How the same requests went for other users, over all pollers. */
export type Others = Pick<Evidence, 'others' | 'failing' | 'working' | 'isMass'>

/** Counting stops here: more would not change a decision. */
const countUpTo = 300
const hourMs = 3_600_000
/** Refused tokens are counted over five minutes, and over the hour in which every token is renewed once. */
const stretchesMs = [5 * 60_000, hourMs]

/**
 * Counts the other users polled with success since this user's first refusal and not refused now, and all users
 * refused within the last hour.
 *
 * @param forMs since this user's first refusal
 */
export async function readRefusalEvidence(sql: Sql, userId: number, forMs: number): Promise<Others> {
  const { rows } = await sql.query<Omit<Others, 'isMass'>>({
    name: 'refusal_evidence',
    text: `select
       (select count(*) from (select from users where status = 'active' and id <> $1 limit $4) o) as others,
       (select count(*) from (select from poll_state s join users u on u.id = s.user_id
         where u.status = 'active' and s.failures > 0 and s.last_error = any($5)
           and s.last_failed_at > now() - make_interval(secs => $3::float8 / 1000) limit $4) f) as failing,
       (select count(*) from (select from poll_state s join users u on u.id = s.user_id
         where u.status = 'active' and s.user_id <> $1
           and s.last_ok_at > now() - make_interval(secs => $2::float8 / 1000)
           and not coalesce(s.failures > 0 and s.last_error = any($5), false) limit $4) w) as working`,
    values: [userId, forMs, hourMs, countUpTo, refusals],
  })
  const counts = rows[0] ?? { others: 0, failing: 0, working: 0 }
  return { ...counts, isMass: isMass(counts) }
}

/** Users whose refresh token was refused, and users whose token was renewed, within one stretch of time. */
interface RefreshCount {
  failing: number
  working: number
}

/** Counts the tokens renewed since this user's was first refused, and the users whose token is refused. */
export async function readTokenEvidence(sql: Sql, userId: number, forMs: number): Promise<Others> {
  const [since, ...stretches] = await countRefreshes(sql, [forMs, ...stretchesMs])
  const { rows } = await sql.query<{ others: number }>(
    `select count(*) as others from (select from users where status = 'active' and id <> $1 limit $2) o`,
    [userId, countUpTo],
  )
  return {
    others: rows[0]?.others ?? 0,
    failing: Math.max(...stretches.map(({ failing }) => failing)),
    working: since?.working ?? 0,
    isMass: stretches.some(isMass),
  }
}

/** Whether the tokens of many users are refused now. */
export async function areTokensRefused(sql: Sql): Promise<boolean> {
  return (await countRefreshes(sql, stretchesMs)).some(isMass)
}

/** An ended consent is not counted as failing: users who connected together lose theirs together. */
async function countRefreshes(sql: Sql, stretches: readonly number[]): Promise<RefreshCount[]> {
  const { rows } = await sql.query<RefreshCount>(
    `select
       (select count(*) from poll_state s join users u on u.id = s.user_id
         where s.last_error = 'invalid_grant' and s.last_failed_at > w.since
           and (u.authorized_at is null or u.authorized_at > $2)
           and (u.status = 'active' or (u.status = 'needs_reauth' and u.status_changed_at > w.since))) as failing,
       (select count(*) from spotify_tokens t join poll_state s using (user_id)
         where t.updated_at > w.since and s.last_error is distinct from 'invalid_grant') as working
     from (select now() - make_interval(secs => ms / 1000) as since
       from unnest($1::float8[]) with ordinality as m (ms, place) order by place) w`,
    [stretches, consentsLiveFrom(new Date())],
  )
  return rows
}

/** An active user of the same app who does not fail, to try the accounts service with, or null if none exists. */
export async function pickControl(sql: Sql, userId: number, clientId: string): Promise<number | null> {
  const { rows } = await sql.query<{ id: number }>(
    `select u.id from users u join poll_state s on s.user_id = u.id join spotify_tokens t on t.user_id = u.id
     where u.status = 'active' and u.id <> $1 and s.failures = 0 and s.last_ok_at is not null
       and coalesce(t.client_id, $2) = $2
     limit 1`,
    [userId, clientId],
  )
  return rows[0]?.id ?? null
}

/**
 * Whether an active user who does not fail was polled with success within this time. The list of recent polls
 * cannot say: refusals follow one another while the users who are served are not due.
 */
export async function isAnybodyServed(sql: Sql, withinMs: number): Promise<boolean> {
  const { rowCount } = await sql.query(
    `select 1 from users u join poll_state s on s.user_id = u.id
     where u.status = 'active' and s.failures = 0
       and s.last_ok_at > now() - make_interval(secs => $1::float8 / 1000) limit 1`,
    [withinMs],
  )
  return rowCount === 1
}

/**
 * Unparks the users of the last hour whose refusals turned out to be an outage, except those refused long enough
 * to be believed. With the reason `outage` the trigger on `users` keeps the record of their failures.
 *
 * @param reason why they were parked
 * @returns users who are active again
 */
export async function unparkRecent(sql: Sql, reason: OutcomeType, believeAfterMs: number): Promise<number[]> {
  const { rows } = await sql.query<{ id: number }>(
    `update users u set status = 'active', status_reason = 'outage', status_changed_at = now()
     from poll_state s
     where s.user_id = u.id and u.status in ('needs_reauth', 'forbidden') and u.status_reason = $1
       and u.status_changed_at > now() - make_interval(secs => $2::float8 / 1000)
       and s.error_since > now() - make_interval(secs => $3::float8 / 1000)
     returning u.id`,
    [reason, hourMs, believeAfterMs],
  )
  return rows.map((row) => row.id)
}
