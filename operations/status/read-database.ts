import type { Env } from '../../lib/config.ts'
import { parseEnv, spotifyEnv } from '../../lib/config.ts'
import type { PollingStanding } from '../../lib/polling/read.ts'
import { readPolling } from '../../lib/polling/read.ts'
import { readPollingConfig } from '../../lib/polling/rules.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { BudgetState } from '../../lib/spotify/budget.ts'
import { openBudget } from '../../lib/spotify/budget.ts'
import { consentDaysLeft, consentEndsAt, warnedBefore } from '../../lib/spotify/consent.ts'
import type { Operator } from '../operator.ts'
import type { UserRow } from '../users/report.ts'
import type { Part } from './part.ts'
import { readAfter, readPart } from './part.ts'
import { readAlerts } from './read-alerts.ts'
import type { PollingTraces } from './read-traces.ts'
import { readTraces } from './read-traces.ts'
import type { AlertStatus, PlaySummary, UserSummary } from './report.ts'

export interface DatabaseParts {
  users: Part<UserSummary>
  plays: Part<PlaySummary>
  gaps: Part<{ open: number; users: number }>
  /** Partition and offset of the dead letters that an operator has decided on. */
  decided: Part<{ partition: number; offset: number }[]>
  traces: Part<PollingTraces>
  /** Whether users are polled, as the alerter judges it. */
  polling: Part<PollingStanding>
  budget: Part<BudgetState>
  alerts: Part<AlertStatus>
}

/** Reads every part that Postgres holds. */
export async function readDatabaseParts(operator: Operator): Promise<DatabaseParts> {
  const database = await readPart(() => operator.postgres())
  const [users, plays, gaps, decided, traces, polling, budget, alerts] = await Promise.all([
    readAfter(database, readUserSummary),
    readAfter(database, readPlays),
    readAfter(database, readGaps),
    readAfter(database, readDecided),
    readAfter(database, readTraces),
    readAfter(database, (sql) => readPolling(sql, readPollingConfig(operator.env))),
    readAfter(database, (sql) => readBudget(sql, operator.env)),
    readAfter(database, (sql) => readAlerts(sql, operator.env)),
  ])
  return { users, plays, gaps, decided, traces, polling, budget, alerts }
}

const parkedShown = 100

async function readUserSummary(sql: Sql): Promise<UserSummary> {
  const counts = await sql.query<{ status: UserRow['status']; count: number }>(
    'select status, count(*) as count from users group by status',
  )
  const parked = await sql.query<UserSummary['parked'][number]>(
    `select id, spotify_id as "spotifyId", display_name as "displayName", status,
       status_reason as "statusReason", status_changed_at as "statusChangedAt"
     from users where status <> 'active' order by status_changed_at limit $1`,
    [parkedShown],
  )
  const byStatus = { active: 0, needs_reauth: 0, forbidden: 0, paused: 0 }
  for (const { status, count } of counts.rows) byStatus[status] = count
  return { byStatus, parked: parked.rows, consentsEnding: await readConsentsEnding(sql, new Date()) }
}

async function readConsentsEnding(sql: Sql, now: Date): Promise<UserSummary['consentsEnding']> {
  const { rows } = await sql.query<Pick<UserRow, 'id' | 'spotifyId' | 'displayName' | 'authorizedAt'>>(
    `select id, spotify_id as "spotifyId", display_name as "displayName", authorized_at as "authorizedAt"
     from users where (authorized_at <= $1 or authorized_at is null) and status <> 'needs_reauth'
     order by authorized_at nulls first limit $2`,
    [warnedBefore(now), parkedShown],
  )
  return rows.map(({ authorizedAt, ...user }) => ({
    ...user,
    endsAt: authorizedAt && consentEndsAt(authorizedAt),
    daysLeft: consentDaysLeft(authorizedAt, now),
  }))
}

/** Up to this many plays are counted exactly. */
const countedPlays = 1_000_000

async function readPlays(sql: Sql): Promise<PlaySummary> {
  const [count, newest] = await Promise.all([countPlays(sql), readNewestPlay(sql)])
  return { ...count, newestPlayedAt: newest }
}

/** For a large table the planner's estimate stands in for a count, which would read the whole table. */
async function countPlays(sql: Sql): Promise<{ count: number; exact: boolean }> {
  const estimate = await sql.query<{ count: number }>(
    `select reltuples::float8 as count from pg_class where oid = 'plays'::regclass`,
  )
  const estimated = Math.round(estimate.rows[0]?.count ?? 0)
  if (estimated >= countedPlays) return { count: estimated, exact: false }
  const counted = await sql.query<{ count: number }>(
    'select count(*) as count from (select from plays limit $1) counted',
    [countedPlays + 1],
  )
  const count = counted.rows[0]?.count ?? 0
  return { count, exact: count <= countedPlays }
}

/** Goes from user to user along the primary key: the cost depends on the number of users, not of plays. */
async function readNewestPlay(sql: Sql): Promise<Date | null> {
  const { rows } = await sql.query<{ newest: Date | null }>(
    `with recursive player (id) as (
       select min(user_id) from plays
       union all
       select (select min(p.user_id) from plays p where p.user_id > player.id)
       from player where player.id is not null
     )
     select max((select max(p.played_at) from plays p where p.user_id = player.id)) as newest
     from player where player.id is not null`,
  )
  return rows[0]?.newest ?? null
}

async function readGaps(sql: Sql): Promise<{ open: number; users: number }> {
  const { rows } = await sql.query<{ open: number; users: number }>(
    'select count(*) as open, count(distinct user_id) as users from gaps where closed_at is null',
  )
  return rows[0] ?? { open: 0, users: 0 }
}

async function readDecided(sql: Sql): Promise<{ partition: number; offset: number }[]> {
  const { rows } = await sql.query('select distinct partition, "offset" from dead_letter_decisions')
  return rows
}

/** The budget of SPOTIFY_CLIENT_ID or, where the operator has no credentials, of the client id used last. */
async function readBudget(sql: Sql, env: Env): Promise<BudgetState> {
  const { SPOTIFY_DAILY_REQUESTS: dailyRequests } = parseEnv(
    { SPOTIFY_DAILY_REQUESTS: spotifyEnv.SPOTIFY_DAILY_REQUESTS },
    env,
  )
  const { rows } = await sql.query<{ clientId: string }>(
    `select client_id as "clientId" from api_pauses order by window_started_at desc limit 1`,
  )
  const clientId = env.SPOTIFY_CLIENT_ID || rows[0]?.clientId || ''
  return openBudget({ sql, clientId, dailyRequests }).read()
}
