import type { Sql } from '../postgres.ts'

/** A user's tokens as stored, both sealed (see `token-crypto.ts`). */
export interface StoredTokens {
  refreshSealed: string
  accessSealed: string | null
  /** Of the access token, by the database's clock; 0 or less if it has expired. */
  expiresInMs: number
}

interface TokenRow {
  refresh_token: string
  access_token: string | null
  expires_in_ms: number | null
}

const columns = `refresh_token, access_token,
  (extract(epoch from expires_at - now()) * 1000)::float8 as expires_in_ms`

/** A user's tokens, or null if the user has none. */
export async function readTokens(sql: Sql, userId: number): Promise<StoredTokens | null> {
  const { rows } = await sql.query<TokenRow>(`select ${columns} from spotify_tokens where user_id = $1`, [
    userId,
  ])
  return rows[0] ? toStored(rows[0]) : null
}

/** The right to refresh a user's tokens, for a while. */
export interface RefreshClaim {
  tokens: StoredTokens
  /** Distinguishes this claim from a later one. */
  until: string
}

/**
 * Makes the caller the user's only refresher for a while.
 *
 * @returns null if another refresher has a claim, or the user has no tokens
 */
export async function claimRefresh(sql: Sql, userId: number, forMs: number): Promise<RefreshClaim | null> {
  const { rows } = await sql.query<TokenRow & { until: string }>(
    `update spotify_tokens set refreshing_until = now() + make_interval(secs => $2::float8 / 1000)
     where user_id = $1 and (refreshing_until is null or refreshing_until <= now())
     returning ${columns}, refreshing_until::text as until`,
    [userId, forMs],
  )
  return rows[0] ? { tokens: toStored(rows[0]), until: rows[0].until } : null
}

/** Makes an access token that was answered with 401 count as expired, so that no process uses it again. */
export async function expireAccess(sql: Sql, userId: number, accessSealed: string): Promise<void> {
  await sql.query('update spotify_tokens set expires_at = now() where user_id = $1 and access_token = $2', [
    userId,
    accessSealed,
  ])
}

/** Ends a claim; has no effect on a later one. */
export async function releaseRefresh(sql: Sql, userId: number, claim: RefreshClaim): Promise<void> {
  await sql.query(
    'update spotify_tokens set refreshing_until = null where user_id = $1 and refreshing_until = $2::timestamptz',
    [userId, claim.until],
  )
}

/**
 * Stores the tokens of a refresh if the refresh token that it used is still the stored one: a late refresher never
 * overwrites a newer token.
 *
 * @param tokens.usedSealed the stored value of the refresh token that was used
 * @returns whether it was stored
 */
export async function storeRefreshed(
  sql: Sql,
  userId: number,
  tokens: {
    usedSealed: string
    refreshSealed: string
    accessSealed: string
    expiresInMs: number
    scope: string | null
    /** The app that they belong to; unchanged if absent. */
    clientId?: string
  },
): Promise<boolean> {
  const { usedSealed, refreshSealed, accessSealed, expiresInMs, scope, clientId } = tokens
  const { rowCount } = await sql.query(
    `update spotify_tokens set refresh_token = $3, access_token = $4,
       expires_at = now() + make_interval(secs => $5::float8 / 1000),
       scope = coalesce($6, scope), client_id = coalesce($7, client_id), updated_at = now(), refreshing_until = null
     where user_id = $1 and refresh_token = $2`,
    [userId, usedSealed, refreshSealed, accessSealed, expiresInMs, scope, clientId ?? null],
  )
  return rowCount === 1
}

/** A user and the tokens of their consent. */
export interface Connection {
  spotifyId: string
  /** Spotify's immutable id; null or absent if Spotify gives none. */
  accountId?: string | null
  displayName: string | null
  refreshSealed: string
  /** Null if it has to be fetched first. */
  accessSealed: string | null
  expiresInMs: number
  scope: string | null
  /** The app that the tokens were given to; absent if not known. */
  clientId?: string
  /** When the user agreed: null if not known; default: now. */
  authorizedAt?: Date | null
}

/**
 * Stores a user who has just given consent: a new one, or one who comes back (a dead token is replaced, the history
 * goes on). The user is due for a poll at once; a poll under way with the old token can no longer change their state.
 *
 * A user is known if a row has the account id, or else the Spotify id and no other account id. A known user keeps the
 * stored Spotify id, even if Spotify now shows another one.
 *
 * @param sql a transaction
 * @returns the user's id
 */
export async function connectUser(sql: Sql, user: Connection): Promise<number> {
  const id = (await findUser(sql, user)) ?? (await insertUser(sql, user))
  await sql.query(
    `update users set account_id = coalesce($2, account_id), display_name = $3, status = 'active',
       status_reason = null, status_changed_at = now(),
       authorized_at = case when $4 then now() else $5 end
     where id = $1`,
    [
      id,
      user.accountId ?? null,
      user.displayName,
      user.authorizedAt === undefined,
      user.authorizedAt ?? null,
    ],
  )
  await sql.query(
    `insert into spotify_tokens (user_id, refresh_token, access_token, expires_at, scope, client_id)
     values ($1, $2, $3, now() + make_interval(secs => $4::float8 / 1000), coalesce($5, ''), $6)
     on conflict (user_id) do update set refresh_token = excluded.refresh_token,
       access_token = excluded.access_token, expires_at = excluded.expires_at, scope = excluded.scope,
       client_id = excluded.client_id, updated_at = now(), refreshing_until = null`,
    [id, user.refreshSealed, user.accessSealed, user.expiresInMs, user.scope, user.clientId ?? null],
  )
  await sql.query(
    `insert into poll_state (user_id) values ($1)
     on conflict (user_id) do update set next_poll_at = now(), leased_until = null, lease_id = null,
       failures = 0, last_error = null, failing_since = null, last_failed_at = null, error_since = null,
       error_count = 0, probes = 0`,
    [id],
  )
  return id
}

/**
 * Finds the user that a connection belongs to, and locks the row; null if the user is new.
 *
 * @param sql a transaction
 */
export async function findUser(
  sql: Sql,
  { accountId = null, spotifyId }: Pick<Connection, 'accountId' | 'spotifyId'>,
): Promise<number | null> {
  const { rows } = await sql.query<{ id: number }>(
    `select id from users
     where account_id = $1 or (spotify_id = $2 and ($1::text is null or account_id is null))
     order by account_id = $1 desc nulls last limit 1 for update`,
    [accountId, spotifyId],
  )
  return rows[0]?.id ?? null
}

/** If another account has the Spotify id, the account id takes its place. */
async function insertUser(sql: Sql, { accountId, spotifyId, displayName }: Connection): Promise<number> {
  const { rows } = await sql.query<{ id: number }>(
    `insert into users (spotify_id, display_name)
     values (case when exists (select from users where spotify_id = $1) then $2 else $1 end, $3)
     on conflict (spotify_id) do update set display_name = excluded.display_name
     returning id`,
    [spotifyId, accountId ?? spotifyId, displayName],
  )
  const id = rows[0]?.id
  if (id === undefined) throw new Error('Postgres returned no row for the user')
  return id
}

function toStored(row: TokenRow): StoredTokens {
  return {
    refreshSealed: row.refresh_token,
    accessSealed: row.access_token,
    expiresInMs: row.expires_in_ms ?? 0,
  }
}

/** A user's sealed tokens. */
export interface SealedTokens {
  userId: number
  refreshSealed: string
  accessSealed: string | null
}

/** Reads the sealed tokens of the users after an id, by id. */
export async function readSealed(sql: Sql, afterUserId: number, limit: number): Promise<SealedTokens[]> {
  const { rows } = await sql.query<SealedTokens>(
    `select user_id as "userId", refresh_token as "refreshSealed", access_token as "accessSealed"
     from spotify_tokens where user_id > $1 order by user_id limit $2`,
    [afterUserId, limit],
  )
  return rows
}

/**
 * Replaces sealed tokens that were read with the same tokens under another key. Not during a refresh: the refresher
 * compares the stored bytes, and could not store the new token at once.
 *
 * @returns false if the stored tokens have changed, or are being refreshed
 */
export async function reseal(
  sql: Sql,
  before: SealedTokens,
  after: Omit<SealedTokens, 'userId'>,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `update spotify_tokens set refresh_token = $4, access_token = $5
     where user_id = $1 and refresh_token = $2 and access_token is not distinct from $3
       and (refreshing_until is null or refreshing_until <= now())`,
    [before.userId, before.refreshSealed, before.accessSealed, after.refreshSealed, after.accessSealed],
  )
  return rowCount === 1
}
