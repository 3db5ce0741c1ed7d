import type { Sql } from '../../lib/postgres.ts'
import { unreadableOutcomes } from '../../lib/spotify/outcome-rules.ts'
import type { StoredTokens } from '../../lib/spotify/token-store.ts'

type UserStatus = 'active' | 'needs_reauth' | 'forbidden' | 'paused'

/** A user leased to this poller. The lease id fences every write: after the lease is lost, no write has an effect. */
export interface ClaimedUser {
  userId: number
  leaseId: string
  status: Exclude<UserStatus, 'paused'>
  displayName: string | null
  spotifyId: string
  /** Never polled with success before. */
  isNew: boolean
  /** Digest of the last page published. */
  pageDigest: string | null
  /** Unix time in milliseconds. */
  newestPlayedAt: number | null
  failures: number
  lastError: string | null
  /** Probes that failed since the user was parked. */
  probes: number
  /** When the user agreed, or null if not known. */
  authorizedAt: Date | null
  /** An operational event about this user is open. */
  hasIncident: boolean
  /** Null if there are none. */
  tokens: (StoredTokens & { clientId: string | null }) | null
}

interface ClaimRow {
  user_id: number
  lease_id: string
  status: UserStatus
  display_name: string | null
  spotify_id: string
  is_new: boolean
  page_digest: string | null
  newest_played_at: Date | null
  failures: number
  last_error: string | null
  probes: number
  authorized_at: Date | null
  has_incident: boolean
  client_id: string | null
  refresh_token: string | null
  access_token: string | null
  expires_in_ms: number | null
}

/**
 * Leases the users who have waited longest. The end of the lease is also the next due time: users of a dead
 * poller become due by themselves, and the front of the index holds due users only.
 *
 * @param limit most users
 */
export async function claimDue(sql: Sql, limit: number, leaseMs: number): Promise<ClaimedUser[]> {
  const { rows } = await sql.query<ClaimRow>({
    name: 'claim_due',
    text: `
      with due as (
        select user_id from poll_state
        where next_poll_at <= now() and (leased_until is null or leased_until <= now())
        order by next_poll_at limit $1 for update skip locked
      ), leased as (
        update poll_state s set
          leased_until = now() + make_interval(secs => $2::float8 / 1000),
          next_poll_at = case when u.status = 'paused' then 'infinity'
            else now() + make_interval(secs => $2::float8 / 1000) end,
          lease_id = gen_random_uuid()
        from due join users u on u.id = due.user_id
        where s.user_id = due.user_id
        returning s.*, u.status, u.display_name, u.spotify_id, u.authorized_at
      )
      select l.user_id, l.lease_id, l.status, l.display_name, l.spotify_id, l.last_ok_at is null as is_new,
        l.page_digest, l.newest_played_at, l.failures, l.last_error, l.probes, l.authorized_at,
        t.refresh_token, t.access_token, t.client_id,
        (extract(epoch from t.expires_at - now()) * 1000)::float8 as expires_in_ms,
        exists (select 1 from incidents i where i.subject = 'user:' || l.user_id) as has_incident
      from leased l left join spotify_tokens t on t.user_id = l.user_id`,
    values: [limit, leaseMs],
  })
  return rows.flatMap(toClaimed)
}

function toClaimed(row: ClaimRow): ClaimedUser[] {
  if (row.status === 'paused') return []
  const { refresh_token: refreshSealed, access_token: accessSealed } = row
  return [
    {
      userId: row.user_id,
      leaseId: row.lease_id,
      status: row.status,
      displayName: row.display_name,
      spotifyId: row.spotify_id,
      isNew: row.is_new,
      pageDigest: row.page_digest,
      newestPlayedAt: row.newest_played_at?.getTime() ?? null,
      failures: row.failures,
      lastError: row.last_error,
      probes: row.probes,
      authorizedAt: row.authorized_at,
      hasIncident: row.has_incident,
      tokens:
        refreshSealed === null
          ? null
          : { refreshSealed, accessSealed, expiresInMs: row.expires_in_ms ?? 0, clientId: row.client_id },
    },
  ]
}

type Lease = Pick<ClaimedUser, 'userId' | 'leaseId'>

/** Ends leases without recording a page; the users are due again after `nextMs`. */
export async function giveBack(sql: Sql, leases: readonly Lease[], nextMs: number): Promise<void> {
  await sql.query(
    `update poll_state s set next_poll_at = now() + make_interval(secs => $3::float8 / 1000),
       leased_until = null, lease_id = null
     from unnest($1::bigint[], $2::uuid[]) as lease (user_id, lease_id)
     where s.user_id = lease.user_id and s.lease_id = lease.lease_id`,
    [leases.map((l) => l.userId), leases.map((l) => l.leaseId), nextMs],
  )
}

/** The result of a poll that returned a page. */
export interface PolledPage extends Lease {
  nextMs: number
  digest: string
  /** Unix time in milliseconds, or null if the page has none. */
  newestPlayedAt: number | null
}

/**
 * Ends leases after their pages; call it only when the pages are in the topic.
 *
 * @returns the leases that still held
 */
export async function recordPages(sql: Sql, pages: readonly PolledPage[]): Promise<Set<string>> {
  const { rows } = await sql.query<{ lease_id: string }>({
    name: 'record_pages',
    text: `
      update poll_state s set next_poll_at = now() + make_interval(secs => p.next_ms / 1000),
        leased_until = null, lease_id = null, last_ok_at = now(), page_digest = p.digest,
        newest_played_at = greatest(s.newest_played_at, p.newest_played_at),
        failures = 0, last_error = null, failing_since = null, last_failed_at = null,
        error_since = null, error_count = 0, probes = 0
      from unnest($1::bigint[], $2::uuid[], $3::float8[], $4::text[], $5::timestamptz[])
        as p (user_id, lease_id, next_ms, digest, newest_played_at)
      where s.user_id = p.user_id and s.lease_id = p.lease_id
      returning p.lease_id`,
    values: [
      pages.map((p) => p.userId),
      pages.map((p) => p.leaseId),
      pages.map((p) => p.nextMs),
      pages.map((p) => p.digest),
      pages.map((p) => (p.newestPlayedAt === null ? null : new Date(p.newestPlayedAt))),
    ],
  })
  return new Set(rows.map((row) => row.lease_id))
}

/** A failure that was recorded. */
export interface Failure {
  /** How often in a row the user has failed in this way. */
  tries: number
  /** Milliseconds since they first failed in this way. */
  forMs: number
  /** Another user fails too. */
  othersFail: boolean
}

/**
 * Records a failure and keeps the lease, which {@link giveBack} or {@link park} then ends.
 *
 * @returns null if the lease was lost
 */
export async function recordFailure(sql: Sql, lease: Lease, error: string): Promise<Failure | null> {
  const { rows } = await sql.query<Failure>({
    name: 'record_failure',
    text: `update poll_state set failures = failures + 1, last_error = $3, last_failed_at = now(),
       failing_since = coalesce(failing_since, now()),
       error_since = case when last_error = any($4) then coalesce(error_since, now()) else now() end,
       error_count = case when last_error = any($4) then error_count + 1 else 1 end
     where user_id = $1 and lease_id = $2
     returning error_count as tries, (extract(epoch from now() - error_since) * 1000)::float8 as "forMs",
       exists (select from poll_state o join users u on u.id = o.user_id
         where o.failures > 0 and o.last_failed_at > now() - interval '10 minutes' and o.user_id <> $1
           and u.status = 'active') as "othersFail"`,
    values: [lease.userId, lease.leaseId, error, likeOf(error)],
  })
  return rows[0] ?? null
}

const unreadable: readonly string[] = unreadableOutcomes

/** Errors that continue a run of this one: a proxy's page is unreadable now in this way, now in another. */
function likeOf(error: string): readonly string[] {
  return unreadable.includes(error) ? unreadable : [error]
}

/**
 * Parks a user until the next probe and ends the lease; a user who was paused or reconnected meanwhile stays so.
 *
 * @param to.probeMs time until the next probe, or null if there is none
 */
export async function park(
  sql: Sql,
  lease: Lease,
  to: { status: 'needs_reauth' | 'forbidden'; reason: string; probeMs: number | null },
): Promise<void> {
  await sql.query(
    `with fenced as (
       update poll_state s set leased_until = null, lease_id = null,
         probes = case when u.status = 'active' then 0 else s.probes + 1 end,
         next_poll_at = case when $3::float8 is null then 'infinity'
           else now() + make_interval(secs => $3::float8 / 1000) end
       from users u where s.user_id = $1 and s.lease_id = $2 and u.id = s.user_id returning s.user_id
     )
     update users u set status = $4, status_reason = $5,
       status_changed_at = case when u.status = $4 then u.status_changed_at else now() end
     from fenced where u.id = fenced.user_id and u.status <> 'paused'`,
    [lease.userId, lease.leaseId, to.probeMs, to.status, to.reason],
  )
}

/** Unparks a user. Call it before {@link recordPages}: the change of status makes them due. */
export async function activate(sql: Sql, lease: Lease): Promise<void> {
  await sql.query(
    `update users u set status = 'active', status_reason = null, status_changed_at = now()
     from poll_state s
     where u.id = $1 and s.user_id = u.id and s.lease_id = $2 and u.status in ('needs_reauth', 'forbidden')`,
    [lease.userId, lease.leaseId],
  )
}

/** Milliseconds until the next user is due, or null if none is planned. */
export async function readNextDue(sql: Sql): Promise<number | null> {
  const { rows } = await sql.query<{ ms: number | null }>(
    `select (extract(epoch from next_poll_at - now()) * 1000)::float8 as ms from poll_state
     where isfinite(next_poll_at) order by next_poll_at limit 1`,
  )
  return rows[0]?.ms ?? null
}

/**
 * Advances polls that were planned while the budget was much tighter: to a random time within `withinMs`, so
 * that they are not due all at once.
 */
export async function pullIn(sql: Sql, withinMs: number): Promise<void> {
  await sql.query(
    `update poll_state s set next_poll_at = now() + random() * make_interval(secs => $1::float8 / 1000)
     from users u
     where u.id = s.user_id and u.status = 'active' and s.lease_id is null
       and s.next_poll_at > now() + 2 * make_interval(secs => $1::float8 / 1000)`,
    [withinMs],
  )
}

/** For the metrics: users who are due and not leased, and active users. */
export async function countUsers(sql: Sql): Promise<{ due: number; active: number }> {
  const { rows } = await sql.query<{ due: number; active: number }>(
    `select
       (select count(*) from poll_state
         where next_poll_at <= now() and (leased_until is null or leased_until <= now())) as due,
       (select count(*) from users where status = 'active') as active`,
  )
  return rows[0] ?? { due: 0, active: 0 }
}

/** Whether the last poll of any active user ended with this error. */
export async function isAnyFailing(sql: Sql, error: string): Promise<boolean> {
  const { rowCount } = await sql.query(
    `select 1 from poll_state s join users u on u.id = s.user_id
     where u.status = 'active' and s.last_error = $1 limit 1`,
    [error],
  )
  return rowCount === 1
}

/** Active users whose answers have been unreadable for an hour. */
export async function countUnreadable(sql: Sql): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    `select count(*) as count from poll_state s join users u on u.id = s.user_id
     where s.failures > 0 and s.last_error = any($1) and s.error_since < now() - interval '1 hour'
       and u.status = 'active'`,
    [unreadableOutcomes],
  )
  return rows[0]?.count ?? 0
}

/** The database's clock: Unix time in milliseconds. */
export async function readClock(sql: Sql): Promise<number> {
  const { rows } = await sql.query<{ ms: number }>('select (extract(epoch from now()) * 1000)::float8 as ms')
  if (!rows[0]) throw new Error('Postgres returned no time')
  return rows[0].ms
}
