import type { Sql } from '../postgres.ts'
import { budgetWindowMs } from '../spotify/budget-plan.ts'
import type { Allowance, PollingFacts, PollingVerdict, UserFacts } from './judge.ts'
import { filledAt, judgePolling, longestPlan, toAllowed, unpolledSince } from './judge.ts'
import type { PollingConfig } from './rules.ts'

/** An active user who should have been polled and was not. */
export interface UnpolledUser {
  userId: number
  name: string
  /** Null if they never were. */
  lastOkAt: Date | null
  /** How long they have been unpolled, in milliseconds. */
  forMs: number
  lastError: string | null
}

/** The state of polling at one moment of the database's clock. */
export interface PollingStanding extends PollingFacts {
  verdict: PollingVerdict
  /** Longest first, at most 200. Empty while polling has stopped or is not allowed. */
  unpolled: UnpolledUser[]
}

/** Most users to read: when this many are unpolled, their exact number does not matter. */
const unpolledMax = 200

/** Reads the state of polling from Postgres, and judges it. */
export async function readPolling(sql: Sql, config: PollingConfig): Promise<PollingStanding> {
  const { rules } = config
  const allowance = await readAllowance(sql, config)
  const activeUsers = await countActive(sql)
  const { maxIntervalMs } = config
  const planMs = longestPlan(allowance, { activeUsers, now: allowance.now, maxIntervalMs })
  const due = await readDue(sql, {
    planMs,
    plannedFrom: filledAt(allowance, allowance.now),
    isAccountsPaused: allowance.isAccountsPaused,
  })
  const facts = { ...due, activeUsers, ...toAllowed(allowance, due.now, rules) }
  const verdict = judgePolling(facts, rules)
  if (verdict === 'stopped' || facts.allowedSince === null) return { ...facts, verdict, unpolled: [] }
  const unpolled = await readUnpolled(sql, { facts, planMs, config })
  return { ...facts, verdict, unpolled }
}

async function readAllowance(
  sql: Sql,
  { clientId, dailyRequests }: PollingConfig,
): Promise<Allowance & { now: number; isAccountsPaused: boolean }> {
  const { rows } = await sql.query<{
    now: Date
    used: number
    windowStartedAt: Date | null
    pausedFrom: Date | null
    pausedUntil: Date | null
    strikes: number | null
    isAccountsPaused: boolean
  }>(
    `select clock_timestamp() as now, coalesce(sum(used), 0)::float8 as used,
       max(window_started_at) filter (where isfinite(window_started_at)) as "windowStartedAt",
       max(paused_from) filter (where lane = 'polling') as "pausedFrom",
       max(paused_until) filter (where lane = 'polling') as "pausedUntil",
       max(strikes) filter (where lane = 'polling') as strikes,
       coalesce(bool_or(lane = 'accounts' and paused_until > now()), false) as "isAccountsPaused"
     from api_pauses where client_id = coalesce($1,
       (select client_id from api_pauses order by window_started_at desc limit 1))`,
    [clientId],
  )
  const [row] = rows
  if (!row) throw new Error('an aggregate returned no row')
  return {
    now: row.now.getTime(),
    dailyRequests,
    used: row.used,
    windowStartedAt: row.windowStartedAt?.getTime() ?? null,
    windowMs: budgetWindowMs,
    pausedFrom: row.pausedFrom?.getTime() ?? null,
    pausedUntil: row.pausedUntil?.getTime() ?? null,
    strikes: row.strikes ?? 0,
    isAccountsPaused: row.isAccountsPaused,
  }
}

async function countActive(sql: Sql): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    `select count(*) as count from users where status = 'active'`,
  )
  return rows[0]?.count ?? 0
}

/**
 * The time of the next poll alone does not show since when a user is due. Failures move it on; so does a lease, which a
 * poller that keeps dying takes again and again; so does a pause of the accounts service, which can recur before a
 * poll. So a leased user, and every user during such a pause, is due when the longest plan has passed since their last
 * success, or since the budget was filled.
 */
async function readDue(
  sql: Sql,
  {
    planMs,
    plannedFrom,
    isAccountsPaused,
  }: { planMs: number; plannedFrom: number; isAccountsPaused: boolean },
): Promise<Pick<PollingFacts, 'now' | 'lastOkAt' | 'dueSince'>> {
  const { rows } = await sql.query<{ now: Date; lastOkAt: Date | null; dueSince: Date | null }>(
    `select clock_timestamp() as now, max(s.last_ok_at) as "lastOkAt",
       min(due.since) filter (where u.status = 'active' and due.since <= now()) as "dueSince"
     from users u join poll_state s on s.user_id = u.id
     cross join lateral (
       select greatest(
         least(s.next_poll_at, s.failing_since,
           case when s.leased_until is not null or $3
             then greatest(coalesce(s.last_ok_at, u.created_at), $2) + make_interval(secs => $1::float8 / 1000) end),
         case when u.status_changed_at > u.created_at then u.status_changed_at end
       ) as since
     ) due`,
    [planMs, new Date(plannedFrom), isAccountsPaused],
  )
  const [row] = rows
  if (!row) throw new Error('an aggregate returned no row')
  return {
    now: row.now.getTime(),
    lastOkAt: row.lastOkAt?.getTime() ?? null,
    dueSince: row.dueSince?.getTime() ?? null,
  }
}

interface UnpolledRow {
  userId: number
  name: string
  lastOkAt: Date | null
  createdAt: Date
  activeSince: Date
  lastError: string | null
}

/** The statement selects users who may be unpolled, longest first; {@link unpolledSince} decides. */
async function readUnpolled(
  sql: Sql,
  { facts, planMs, config }: { facts: PollingFacts; planMs: number; config: PollingConfig },
): Promise<UnpolledUser[]> {
  const { rows } = await sql.query<UnpolledRow>(
    `select u.id as "userId", coalesce(u.display_name, u.spotify_id) as name, s.last_ok_at as "lastOkAt",
       u.created_at as "createdAt", u.status_changed_at as "activeSince", s.last_error as "lastError"
     from users u join poll_state s on s.user_id = u.id
     where u.status = 'active'
       and greatest(coalesce(s.last_ok_at, u.created_at),
         case when u.status_changed_at > u.created_at then u.status_changed_at end)
         < now() - make_interval(secs => $1::float8 / 1000)
     order by coalesce(s.last_ok_at, u.created_at), u.id limit $2`,
    [planMs + config.rules.unpolledMs, unpolledMax],
  )
  return rows.flatMap((row) => {
    const since = unpolledSince(toFacts(row), { ...facts, planMs }, config.rules)
    const { userId, name, lastOkAt, lastError } = row
    return since === null ? [] : [{ userId, name, lastOkAt, lastError, forMs: facts.now - since }]
  })
}

function toFacts({ lastOkAt, createdAt, activeSince }: UnpolledRow): UserFacts {
  return {
    lastOkAt: lastOkAt?.getTime() ?? null,
    createdAt: createdAt.getTime(),
    activeSince: activeSince.getTime(),
  }
}

/** The alarms that are over. */
export interface AlarmsOver {
  /** Whether any user was polled with success since polling was reported as stopped. */
  isPolling: boolean
  /** Subjects of users who were reported as unpolled, and were polled with success since or are no longer active. */
  users: string[]
}

/** Neither a pause nor a new window ends an alarm: only a success does, or that the user is no longer active. */
export async function readAlarmsOver(sql: Sql): Promise<AlarmsOver> {
  const { rows } = await sql.query<{ subject: string }>(
    `select i.subject from incidents i left join users u on i.subject = 'user:' || u.id
       left join poll_state s on s.user_id = u.id
     where i.type = 'user_unpolled' and (u.status is distinct from 'active' or s.last_ok_at > i.raised_at)
     union all
     select i.subject from incidents i
     where i.type = 'polling_stopped' and exists (select from poll_state s where s.last_ok_at > i.raised_at)`,
  )
  const subjects = rows.map((row) => row.subject)
  return { isPolling: subjects.includes('app'), users: subjects.filter((subject) => subject !== 'app') }
}
