import { metrics } from '../../lib/metrics.ts'
import type { Sql } from '../../lib/postgres.ts'
import { safePollIntervalMs } from '../../lib/spotify/budget-plan.ts'

/** Ages in seconds beyond which users count as unpolled; the middle one is the longest that can lose no play. */
const thresholds = [300, safePollIntervalMs / 1000, 7_200] as const

/**
 * Sets the metrics of users and of the time since their last successful poll, over all pollers. A user who was
 * never polled counts from their consent.
 */
export async function showFreshness(sql: Sql): Promise<void> {
  const [users, ages] = await Promise.all([readUsers(sql), readAges(sql)])
  metrics.users.reset()
  for (const { status, n } of users) metrics.users.set({ status }, n)
  metrics.oldestPollSeconds.set(ages.oldest)
  for (const [i, seconds] of thresholds.entries()) {
    metrics.usersUnpolled.set({ for_seconds: String(seconds) }, ages.unpolled[i] ?? 0)
  }
}

/** Clears these metrics, because another poller shows them. */
export function hideFreshness(): void {
  metrics.users.reset()
  metrics.usersUnpolled.reset()
  metrics.oldestPollSeconds.set(0)
}

async function readUsers(sql: Sql): Promise<{ status: string; n: number }[]> {
  const { rows } = await sql.query<{ status: string; n: number }>(
    'select status, count(*) as n from users group by status',
  )
  return rows
}

async function readAges(sql: Sql): Promise<{ oldest: number; unpolled: number[] }> {
  const { rows } = await sql.query<{ oldest: number; unpolled: number[] }>(
    `with ages as (
       select extract(epoch from now() - coalesce(s.last_ok_at, u.authorized_at, u.created_at))::float8 as age
       from users u join poll_state s on s.user_id = u.id where u.status = 'active'
     )
     select coalesce((select max(age) from ages), 0) as oldest,
       array(select (select count(*)::int from ages where age > t.seconds)
         from unnest($1::float8[]) with ordinality as t (seconds, place) order by place) as unpolled`,
    [thresholds],
  )
  return rows[0] ?? { oldest: 0, unpolled: [] }
}
