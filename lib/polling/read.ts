import type { Sql } from '../postgres.ts'
import { budgetWindowMs } from '../spotify/budget-plan.ts'
import type { Allowance, PollingFacts, PollingVerdict, UserFacts } from './judge.ts'
import { allowedSince, judgePolling, longestPlan, unpolledSince } from './judge.ts'
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

/** How polling stands at one moment of the database's clock. */
export interface PollingStanding extends PollingFacts {
  verdict: PollingVerdict
  /** Longest first; the first ones of many. Empty while polling has stopped for everybody. */
  unpolled: UnpolledUser[]
}

/** More are not looked at: when as many are unpolled, it is not their number that matters. */
const unpolledMax = 200

/** Reads what Postgres knows of polling, and judges it. */
export async function readPolling(sql: Sql, config: PollingConfig): Promise<PollingStanding> {
  const { rules } = config
  const allowance = await readAllowance(sql, config)
  const activeUsers = await countActive(sql)
  const planMs = longestPlan(allowance, { activeUsers, now: allowance.now })
  const { now, lastOkAt, dueSince } = await readDue(sql, planMs)
  const facts = { now, activeUsers, lastOkAt, dueSince, allowedSince: allowedSince(allowance, now, rules) }
  const verdict = judgePolling(facts, rules)
  if (verdict === 'stopped' || facts.allowedSince === null) return { ...facts, verdict, unpolled: [] }
  const unpolled = await readUnpolled(sql, { facts, planMs, config })
  return { ...facts, verdict, unpolled }
}

async function readAllowance(
  sql: Sql,
  { clientId, dailyRequests }: PollingConfig,
): Promise<Allowance & { now: number }> {
  const { rows } = await sql.query<{
    now: Date
    used: number
    windowStartedAt: Date | null
    pausedUntil: Date | null
    strikes: number | null
  }>(
    `select clock_timestamp() as now, coalesce(sum(used), 0)::float8 as used,
       max(window_started_at) filter (where isfinite(window_started_at)) as "windowStartedAt",
       max(paused_until) filter (where lane = 'polling') as "pausedUntil",
       max(strikes) filter (where lane = 'polling') as strikes
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
    pausedUntil: row.pausedUntil?.getTime() ?? null,
    strikes: row.strikes ?? 0,
  }
}

async function countActive(sql: Sql): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    `select count(*) as count from users where status = 'active'`,
  )
  return rows[0]?.count ?? 0
}

/**
 * A failure moves the time of the next poll, so a user is due since their failures began. So does a lease, which a
 * poller that dies again and again takes again and again: who is leased is due since the longest plan after their
 * last success.
 */
async function readDue(
  sql: Sql,
  planMs: number,
): Promise<Pick<PollingFacts, 'now' | 'lastOkAt' | 'dueSince'>> {
  const { rows } = await sql.query<{ now: Date; lastOkAt: Date | null; dueSince: Date | null }>(
    `select clock_timestamp() as now, max(s.last_ok_at) as "lastOkAt",
       min(due.since) filter (where u.status = 'active' and due.since <= now()) as "dueSince"
     from users u join poll_state s on s.user_id = u.id
     cross join lateral (
       select greatest(
         least(s.next_poll_at, s.failing_since,
           case when s.leased_until is not null then s.last_ok_at + make_interval(secs => $1::float8 / 1000) end),
         case when u.status_changed_at > u.created_at then u.status_changed_at end
       ) as since
     ) due`,
    [planMs],
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

/** The statement chooses who may be unpolled, longest first; the judge decides. */
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
