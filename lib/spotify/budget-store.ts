import type { Sql } from '../postgres.ts'
import type { RequestLane } from './outcome.ts'
import { lanes } from './outcome.ts'
import type { Pause } from './pause-policy.ts'

/** A lane as stored; times are relative to the database's clock. */
export interface LaneRow {
  lane: RequestLane
  used: number
  strikes: number
  reason: string | null
  paused_ms: number | null
  age_ms: number | null
}

export async function readActiveUsers(sql: Sql): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(`select count(*) from users where status = 'active'`)
  return rows[0]?.count ?? 0
}

export async function readLanes(sql: Sql, clientId: string): Promise<LaneRow[]> {
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

/** Creates missing rows. A new row's window starts at minus infinity: it begins with the first request, not the row. */
export async function ensureLanes(sql: Sql, clientId: string): Promise<void> {
  await sql.query(
    `insert into api_pauses (client_id, lane, window_started_at)
     select $1, lane, '-infinity' from unnest($2::text[]) lane
     on conflict do nothing`,
    [clientId, lanes],
  )
}

/** Requests that were granted, and the window that they were taken from. */
export interface Taken {
  granted: number
  /** Identifies the window, for a refund; null if nothing was granted. */
  window: string | null
  /** Time until that window ends; of a grant from a block, until the block ends. */
  windowEndsInMs: number
  /** Whether nothing was granted because the lane was paused at that moment. */
  isPaused: boolean
}

const nothing: Taken = { granted: 0, window: null, windowEndsInMs: 0, isPaused: false }

/**
 * `take` of `budget-rule.ts`, atomic over all processes. It first locks the rows of all lanes, always in the same
 * order, so it computes the grant from the newest sum.
 */
export async function takeRequests(
  sql: Sql,
  order: { clientId: string; lane: RequestLane; count: number; cap: number; despitePause: boolean },
): Promise<Taken> {
  const { clientId, lane, count, cap, despitePause } = order
  const run = () =>
    sql.query<Taken>({
      name: 'budget_take',
      text: takeSql,
      values: [clientId, lane, count, cap, lanes, despitePause],
    })
  const first = await run()
  if (first.rows[0]) return toTaken(first.rows[0])
  await ensureLanes(sql, clientId)
  return toTaken((await run()).rows[0] ?? nothing)
}

function toTaken(row: Taken): Taken {
  return row.granted === 0 ? { ...nothing, isPaused: row.isPaused } : { ...row, isPaused: false }
}

const takeSql = `
  with locked as (
    select lane, used, window_started_at, paused_until from api_pauses
    where client_id = $1 and lane = any($5) order by lane for update
  ), state as (
    select bool_or(window_started_at > now() - interval '24 hours') as running,
      coalesce(sum(used) filter (where window_started_at > now() - interval '24 hours'), 0) as used,
      coalesce(bool_or(paused_until > now()) filter (where lane = $2), false) as paused
    from locked
  ), grant_of as (
    select running, paused, case when paused and not $6 then 0 else greatest(0, least($3::bigint, $4::bigint - used)) end as granted
    from state
  )
  update api_pauses p set
    window_started_at = case when g.running or g.granted = 0 then p.window_started_at else now() end,
    used = case when g.running then p.used when g.granted = 0 then p.used else 0 end
      + case when p.lane = $2 then g.granted else 0 end
  from grant_of g
  where p.client_id = $1 and p.lane = any($5) and (p.lane = $2 or not g.running)
  returning g.granted::int as granted, p.window_started_at::text as window,
    case when isfinite(p.window_started_at)
      then (extract(epoch from p.window_started_at + interval '24 hours' - now()) * 1000)::float8
      else 0 end as "windowEndsInMs", g.paused and not $6 as "isPaused"`

/** Gives back requests that were not sent. Has no effect once their window is over. */
export async function refundRequests(
  sql: Sql,
  order: { clientId: string; lane: RequestLane; count: number; window: string },
): Promise<void> {
  await sql.query({
    name: 'budget_refund',
    text: `update api_pauses set used = greatest(0, used - $3)
      where client_id = $1 and lane = $2 and window_started_at = $4::timestamptz`,
    values: [order.clientId, order.lane, order.count, order.window],
  })
}

/** Stores a pause. Several requests in flight may hit the same limit: only the first of them counts as a strike. */
export async function storePause(sql: Sql, clientId: string, pause: Pause): Promise<void> {
  await sql.query(
    `update api_pauses p set
       strikes = case when p.paused_until > now() then p.strikes else p.strikes + 1 end,
       reason = case when p.paused_until > w.until then p.reason else $5 end,
       paused_from = case when p.strikes > 0 and p.paused_until > now() - interval '10 minutes'
         then coalesce(p.paused_from, now()) else now() end,
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

/** Ends a row of pauses, except during a pause: then the request that succeeded began before it. */
export async function clearStrikes(sql: Sql, clientId: string, lane: RequestLane): Promise<void> {
  await sql.query(
    `update api_pauses set strikes = 0, reason = null
     where client_id = $1 and lane = $2 and strikes > 0 and (paused_until is null or paused_until <= now())`,
    [clientId, lane],
  )
}

/** Ends the pauses with a reason whose cause is known to be gone. @returns the number of lanes that were paused */
export async function liftPauses(sql: Sql, clientId: string, reason: string): Promise<number> {
  const { rowCount } = await sql.query(
    `update api_pauses set paused_until = null, reason = null, strikes = 0
     where client_id = $1 and reason = $2 and paused_until > now()`,
    [clientId, reason],
  )
  return rowCount ?? 0
}
