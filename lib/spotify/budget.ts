import { metrics } from '../metrics.ts'
import type { Sql } from '../postgres.ts'
import { budgetWindowMs, pollingNeed } from './budget-plan.ts'
import type { Lane, Outcome } from './outcome.ts'
import { lanes } from './outcome.ts'
import type { Pause } from './pause-policy.ts'
import { toPause } from './pause-policy.ts'

/** Why requests were not granted. */
export interface Refusal {
  /** `kept_for_polling`: what is left is needed by polling until the window ends. */
  reason: 'paused' | 'spent' | 'kept_for_polling'
  /** For a person. */
  detail: string
  /** When to ask again, as a delay in milliseconds. */
  retryAfterMs: number
}

/** How many of the requests that were asked for may be made; `refusal` tells about the others. */
interface Reservation {
  granted: number
  refusal: Refusal | null
}

interface LaneState {
  /** 0: not paused. */
  pausedForMs: number
  reason: string | null
  /** Pauses in a row without a success between. */
  strikes: number
  /** Requests in the running window. */
  used: number
}

export interface BudgetState {
  dailyRequests: number
  /** Requests left in the running window, all lanes together. */
  left: number
  /** Until the running window ends; a full window when none is running. */
  remainingMs: number
  lanes: Record<Lane, LaneState>
}

/**
 * The request budget and the pauses of one client id, kept in Postgres: shared by all processes, measured by
 * the database's clock, still there after a restart. Nobody sleeps through a pause: callers are told how long
 * it lasts and do something else.
 */
export interface Budget {
  /**
   * Takes up to `count` requests from the window of 24 hours that begins with its first request. Polling and
   * accounts may use all of it, enrichment only what polling does not need. Grants a part when there is less.
   *
   * @param options.despitePause for whoever finds out whether the cause of the pause is gone
   */
  reserve(lane: Lane, count: number, options?: { despitePause: boolean }): Promise<Reservation>
  /** Acts on an answer: stores the pause it asks for, or ends a row of pauses. Call it after each request. */
  settle(lane: Lane, outcome: Outcome): Promise<Pause | null>
  /** Stores a pause; one that lasts longer already stays. */
  pause(pause: Pause): Promise<void>
  read(): Promise<BudgetState>
}

/** While enrichment waits for polling's share to shrink it asks again in this time. */
const keptRetryMs = 10 * 60_000
const usersKnownForMs = 15_000

export function openBudget(options: { sql: Sql; clientId: string; dailyRequests: number }): Budget {
  const { sql, clientId, dailyRequests } = options
  const struck = new Set<Lane>()
  let users = { count: 0, until: 0 }

  async function countActiveUsers(): Promise<number> {
    if (users.until < Date.now()) {
      users = { count: await readActiveUsers(sql), until: Date.now() + usersKnownForMs }
    }
    return users.count
  }

  async function read(): Promise<BudgetState> {
    const state = toState(await readLanes(sql, clientId), dailyRequests)
    for (const lane of lanes) if (state.lanes[lane].strikes > 0) struck.add(lane)
    metrics.budgetLeft.set(state.left)
    return state
  }

  /** What all lanes together may have used for this lane to get more. */
  async function capOf(lane: Lane): Promise<number> {
    if (lane !== 'enrichment') return dailyRequests
    const [{ remainingMs }, activeUsers] = await Promise.all([read(), countActiveUsers()])
    return dailyRequests - pollingNeed({ activeUsers, remainingMs })
  }

  async function pause(pause: Pause): Promise<void> {
    await ensureLanes(sql, clientId)
    await storePause(sql, clientId, pause)
    for (const lane of pause.lanes) struck.add(lane)
  }

  return {
    read,
    pause,
    async reserve(lane, count, { despitePause } = { despitePause: false }) {
      const cap = await capOf(lane)
      const granted = await take(sql, { clientId, lane, count, cap, despitePause })
      if (granted === count) return { granted, refusal: null }
      return { granted, refusal: toRefusal(await read(), lane, despitePause) }
    },
    async settle(lane, outcome) {
      const wanted = toPause(lane, outcome)
      if (wanted) await pause(wanted)
      else if (outcome.type === 'ok' && struck.delete(lane)) await clearStrikes(sql, clientId, lane)
      return wanted
    },
  }
}

function toRefusal(state: BudgetState, lane: Lane, despitePause: boolean): Refusal {
  const { pausedForMs, reason } = state.lanes[lane]
  if (pausedForMs > 0 && !despitePause)
    return { reason: 'paused', detail: reason ?? 'paused', retryAfterMs: pausedForMs }
  const detail = `${state.left} of ${state.dailyRequests} requests left in this window`
  if (lane === 'enrichment' && state.left > 0) {
    return { reason: 'kept_for_polling', detail, retryAfterMs: Math.min(keptRetryMs, state.remainingMs) }
  }
  return { reason: 'spent', detail, retryAfterMs: state.remainingMs }
}

interface LaneRow {
  lane: Lane
  used: number
  strikes: number
  reason: string | null
  paused_ms: number | null
  age_ms: number | null
}

function toState(rows: LaneRow[], dailyRequests: number): BudgetState {
  const state = (lane: Lane): LaneState => {
    const row = rows.find((r) => r.lane === lane)
    const running = row?.age_ms !== null && row !== undefined && row.age_ms < budgetWindowMs
    return {
      pausedForMs: Math.max(0, row?.paused_ms ?? 0),
      reason: row?.reason ?? null,
      strikes: row?.strikes ?? 0,
      used: running ? row.used : 0,
    }
  }
  const byLane = { polling: state('polling'), enrichment: state('enrichment'), accounts: state('accounts') }
  const used = lanes.reduce((sum, lane) => sum + byLane[lane].used, 0)
  const ages = rows.map((r) => r.age_ms).filter((age) => age !== null && age < budgetWindowMs)
  const age = ages.length > 0 ? Math.max(...ages.map(Number)) : 0
  return {
    dailyRequests,
    left: Math.max(0, dailyRequests - used),
    remainingMs: budgetWindowMs - age,
    lanes: byLane,
  }
}

async function readActiveUsers(sql: Sql): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(`select count(*) from users where status = 'active'`)
  return rows[0]?.count ?? 0
}

async function readLanes(sql: Sql, clientId: string): Promise<LaneRow[]> {
  const { rows } = await sql.query<LaneRow>(
    `select lane, used, strikes, reason,
       (extract(epoch from paused_until - now()) * 1000)::float8 as paused_ms,
       case when isfinite(window_started_at)
         then (extract(epoch from now() - window_started_at) * 1000)::float8 end as age_ms
     from api_pauses where client_id = $1`,
    [clientId],
  )
  return rows
}

/** Minus infinity: the window begins with the first request, not with the row. */
async function ensureLanes(sql: Sql, clientId: string): Promise<void> {
  await sql.query(
    `insert into api_pauses (client_id, lane, window_started_at)
     select $1, lane, '-infinity' from unnest($2::text[]) lane
     on conflict do nothing`,
    [clientId, lanes],
  )
}

/**
 * Atomic over all processes: the rows of all lanes are locked first (always in the same order), so the sum
 * that the grant is computed from is the newest one.
 */
async function take(
  sql: Sql,
  order: { clientId: string; lane: Lane; count: number; cap: number; despitePause: boolean },
): Promise<number> {
  const { clientId, lane, count, cap, despitePause } = order
  const run = () =>
    sql.query<{ granted: number }>({
      name: 'budget_take',
      text: `
        with locked as (
          select lane, used, window_started_at, paused_until from api_pauses
          where client_id = $1 and lane = any($5) order by lane for update
        ), state as (
          select bool_or(window_started_at > now() - interval '24 hours') as running,
            coalesce(sum(used) filter (where window_started_at > now() - interval '24 hours'), 0) as used,
            coalesce(bool_or(paused_until > now()) filter (where lane = $2), false) as paused
          from locked
        ), grant_of as (
          select running, case when paused and not $6 then 0 else greatest(0, least($3::bigint, $4::bigint - used)) end as granted
          from state
        )
        update api_pauses p set
          window_started_at = case when g.running or g.granted = 0 then p.window_started_at else now() end,
          used = case when g.running then p.used when g.granted = 0 then p.used else 0 end
            + case when p.lane = $2 then g.granted else 0 end
        from grant_of g
        where p.client_id = $1 and p.lane = any($5) and (p.lane = $2 or not g.running)
        returning p.lane = $2 as own, g.granted::int as granted`,
      values: [clientId, lane, count, cap, lanes, despitePause],
    })
  const first = await run()
  if (first.rows[0]) return first.rows[0].granted
  await ensureLanes(sql, clientId)
  return (await run()).rows[0]?.granted ?? 0
}

/** Requests in flight meet the same limit several times: only the first of them counts as a strike. */
async function storePause(sql: Sql, clientId: string, pause: Pause): Promise<void> {
  await sql.query(
    `update api_pauses p set
       strikes = case when p.paused_until > now() then p.strikes else p.strikes + 1 end,
       reason = case when p.paused_until > w.until then p.reason else $5 end,
       paused_until = greatest(p.paused_until, w.until)
     from (
       select lane, case
         when $4::float8 is null then now() + make_interval(secs => $3::float8 / 1000)
         when paused_until > now() then paused_until
         else now() + make_interval(secs => least($3::float8 * power(2, least(strikes, 30)), $4::float8) / 1000)
       end as until
       from api_pauses where client_id = $1 and lane = any($2) order by lane for update
     ) w
     where p.client_id = $1 and p.lane = w.lane`,
    [clientId, pause.lanes, pause.ms, pause.maxMs, pause.reason],
  )
}

/** A success that began before the pause says nothing about it. */
async function clearStrikes(sql: Sql, clientId: string, lane: Lane): Promise<void> {
  await sql.query(
    `update api_pauses set strikes = 0, reason = null
     where client_id = $1 and lane = $2 and strikes > 0 and (paused_until is null or paused_until <= now())`,
    [clientId, lane],
  )
}
