import { setTimeout as delay } from 'node:timers/promises'
import { checkpoint } from '../checkpoint.ts'
import { isRecordFault } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Sql } from '../postgres.ts'
import type { Budget } from './budget.ts'
import type { SpotifyClient } from './client.ts'
import type { Outcome } from './outcome.ts'
import type { TokenCrypto } from './token-crypto.ts'
import type { StoredTokens } from './token-store.ts'
import { claimRefresh, expireAccess, readTokens, releaseRefresh, storeRefreshed } from './token-store.ts'
import type { Tokens } from './tokens.ts'
import { expiryMarginMs, refreshTokens } from './tokens.ts'

type RefreshResult =
  | { type: 'fresh'; accessToken: string }
  /** Not now: somebody else refreshes this user or has just replaced the token, or the budget does not allow it. */
  | { type: 'deferred'; retryAfterMs: number }
  | { type: 'no_tokens' }
  | { type: 'refused'; outcome: Outcome }

export interface Refresher {
  /**
   * Gives a user a new access token and stores it. One refresher per user at a time, over all processes.
   *
   * @param options.rejected the access token that was answered with 401; absent: it is about to expire
   * @throws UnreadableTokenError when the stored token cannot be opened
   */
  refresh(userId: number, options?: { rejected?: string; signal?: AbortSignal }): Promise<RefreshResult>
}

/** Whoever else refreshes a user is done by then. */
const busy = { type: 'deferred', retryAfterMs: 5_000 } as const
/** How long a rotated token is kept in memory while Postgres does not take it. */
const storeWithinMs = 30_000

/**
 * Rotation is where a token can be lost: Spotify may kill the old refresh token when it answers with a new one.
 * So the answer is stored at once, before anything else is done with it, and again and again while Postgres is
 * away. What remains is a crash within those milliseconds, or an answer lost on its way: then the old token is
 * tried next, which works unless Spotify killed it; if it did, the user is asked to connect again.
 *
 * No transaction is held while Spotify is asked. The claim keeps others away, and the store compares the old
 * token: a refresher whose claim ran out while it waited cannot overwrite what came after it.
 */
export function createRefresher(options: {
  client: SpotifyClient
  /** Pays for each request in the lane `accounts`, and learns of its answer. */
  budget: Budget
  sql: Sql
  crypto: TokenCrypto
  log: Logger
}): Refresher {
  const { client, budget, sql, crypto, log } = options
  // How long a refresher that died keeps the others away. One that lives is done by then, unless Postgres is
  // away; but then nobody else can claim either.
  const claimMs = client.timeoutMs + 5_000

  async function store(userId: number, used: StoredTokens, tokens: Tokens): Promise<void> {
    const old = await crypto.open(used.refreshSealed)
    const rotated = tokens.refreshToken !== null && tokens.refreshToken !== old
    const fresh = {
      refreshSealed: rotated ? await crypto.seal(tokens.refreshToken ?? old) : used.refreshSealed,
      accessSealed: await crypto.seal(tokens.accessToken),
      expiresInMs: tokens.expiresInMs,
      scope: tokens.scope,
    }
    let usedSealed = used.refreshSealed
    while (!(await storeRefreshed(sql, userId, { ...fresh, usedSealed }))) {
      // The row has another value: the same token under another key (keys were rotated), or a newer token.
      const current = await readTokens(sql, userId)
      if (!current || (await crypto.open(current.refreshSealed)) !== old) {
        log.warn({ userId }, 'token_replaced_meanwhile')
        return
      }
      usedSealed = current.refreshSealed
      if (!rotated) fresh.refreshSealed = usedSealed
    }
  }

  async function storeWhilePostgresIsAway(userId: number, used: StoredTokens, tokens: Tokens): Promise<void> {
    const until = Date.now() + storeWithinMs
    for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 3_000)) {
      try {
        return await store(userId, used, tokens)
      } catch (err) {
        if (isRecordFault(err) || Date.now() > until) throw err
        log.warn({ err, userId }, 'token_store_retried')
        await delay(waitMs)
      }
    }
  }

  async function wasReplaced(userId: number, used: StoredTokens): Promise<boolean> {
    const current = await readTokens(sql, userId)
    if (!current || current.refreshSealed === used.refreshSealed) return false
    return (await crypto.open(current.refreshSealed)) !== (await crypto.open(used.refreshSealed))
  }

  async function refreshClaimed(
    userId: number,
    used: StoredTokens,
    call: { rejected?: string; signal?: AbortSignal },
  ): Promise<RefreshResult> {
    if (used.accessSealed && used.expiresInMs > expiryMarginMs) {
      const accessToken = await crypto.open(used.accessSealed)
      // Somebody was faster: their token is not the one that was rejected.
      if (accessToken !== call.rejected) return { type: 'fresh', accessToken }
    }
    if (used.accessSealed && call.rejected) await expireAccess(sql, userId, used.accessSealed)
    const refreshToken = await crypto.open(used.refreshSealed)
    const { refusal } = await budget.reserve('accounts', 1)
    if (refusal) return { type: 'deferred', retryAfterMs: refusal.retryAfterMs }
    const answer = await refreshTokens(client, refreshToken, call.signal)
    if (answer.type === 'tokens') {
      checkpoint('poller.refreshed')
      await storeWhilePostgresIsAway(userId, used, answer.tokens)
      await budget.settle('accounts', { type: 'ok', json: null })
      return { type: 'fresh', accessToken: answer.tokens.accessToken }
    }
    await budget.settle('accounts', answer.outcome)
    // Dead is only the token that was asked with; the user may have connected again while it was.
    if (answer.outcome.type === 'invalid_grant' && (await wasReplaced(userId, used))) return busy
    return answer
  }

  return {
    async refresh(userId, call = {}) {
      const claim = await claimRefresh(sql, userId, claimMs)
      if (!claim) return (await readTokens(sql, userId)) ? busy : { type: 'no_tokens' }
      try {
        return await refreshClaimed(userId, claim.tokens, call)
      } finally {
        await releaseRefresh(sql, userId, claim).catch((err) =>
          log.warn({ err, userId }, 'refresh_claim_kept'),
        )
      }
    },
  }
}
