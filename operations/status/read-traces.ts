import type { Sql } from '../../lib/postgres.ts'

/** Signs of life that pollers leave in Postgres. */
export interface PollingTraces {
  /** Connections that pollers hold. */
  sessions: number
  /** Users who are being polled right now. */
  leases: number
  /** When the latest poll ended, successful or not. */
  lastPollAt: Date | null
  /** Active users whose poll is late, and since when the first of them waits. */
  overdue: number
  overdueSince: Date | null
}

/** A poller takes a due user within seconds, so one who waits for this long is late. */
const lateAfterSeconds = 120

export async function readTraces(sql: Sql): Promise<PollingTraces> {
  const { rows } = await sql.query<PollingTraces>(
    `select
       (select count(*) from pg_stat_activity
         where datname = current_database() and application_name = 'songswap-poller') as sessions,
       count(*) filter (where s.leased_until > now()) as leases,
       max(greatest(s.last_ok_at, s.last_failed_at)) as "lastPollAt",
       count(*) filter (where late) as overdue,
       min(s.next_poll_at) filter (where late) as "overdueSince"
     from users u join poll_state s on s.user_id = u.id
     cross join lateral (
       select u.status = 'active' and s.next_poll_at < now() - make_interval(secs => $1) as late
     ) l`,
    [lateAfterSeconds],
  )
  const [traces] = rows
  if (!traces) throw new Error('an aggregate returned no row')
  return traces
}
