import { setTimeout as delay } from 'node:timers/promises'
import { checkpoint } from '../checkpoint.ts'
import { isRecordFault } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Sql } from '../postgres.ts'
import type { Gateway } from './gateway.ts'
import type { Outcome } from './outcome.ts'
import type { Permit } from './permit.ts'
import { withPermit } from './permit.ts'
import type { TokenCrypto } from './token-crypto.ts'
import { UnreadableTokenError } from './token-crypto.ts'
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
   * Runs to its end once Spotify was asked: an answer that is given up may hold the only living token.
   *
   * @param options.rejected the access token that was answered with 401; absent: it is about to expire
   * @param options.early although the access token still lives
   * @throws UnreadableTokenError when the stored token cannot be opened
   */
  refresh(userId: number, options?: { rejected?: string; early?: boolean }): Promise<RefreshResult>
}

/** Another process that refreshes the user is done by then. */
const busy = { type: 'deferred', retryAfterMs: 5_000 } as const

/**
 * Rotation is where a token can be lost: Spotify may kill the old refresh token when it answers with a new one.
 * So Spotify is asked only right after Postgres took the claim, which shows that it can store; and the answer is
 * stored at once, before anything else is done with it, and again and again until Postgres takes it or the
 * process ends. What remains is a process that ends, or an answer that is lost on its way, while Postgres is away
 * or within the request: then the old token is tried next, which works unless Spotify killed it; if it did, the
 * user is asked to connect again.
 *
 * No transaction is held while Spotify is asked. The claim keeps others away, and the store compares the old
 * token: a refresher whose claim ran out while it waited cannot overwrite what came after it.
 */
export function createRefresher(options: {
  gateway: Gateway
  /** Stored with the tokens: only this app can use them. */
  clientId: string
  sql: Sql
  crypto: TokenCrypto
  log: Logger
}): Refresher {
  const { gateway, clientId, sql, crypto, log } = options
  // How long a refresher that died keeps the others away. One that lives is done by then, unless Postgres is
  // away; but then nobody else can claim either.
  const claimMs = gateway.timeoutMs + 5_000

  async function seal(old: string, used: StoredTokens, tokens: Tokens): Promise<SealedAnswer> {
    const rotated = tokens.refreshToken !== null && tokens.refreshToken !== old
    return {
      isRotated: rotated,
      refreshSealed: rotated ? await crypto.seal(tokens.refreshToken ?? old) : used.refreshSealed,
      accessSealed: await crypto.seal(tokens.accessToken),
      expiresInMs: tokens.expiresInMs,
      scope: tokens.scope,
      clientId,
    }
  }

  async function store(userId: number, old: string, used: StoredTokens, fresh: SealedAnswer): Promise<void> {
    let usedSealed = used.refreshSealed
    let { refreshSealed } = fresh
    while (!(await storeRefreshed(sql, userId, { ...fresh, refreshSealed, usedSealed }))) {
      // The row has another value: the same token under another key (keys were rotated), or a newer token.
      const current = await readTokens(sql, userId)
      if (!current || (await crypto.open(current.refreshSealed)) !== old) {
        log.warn({ userId }, 'token_replaced_meanwhile')
        return
      }
      usedSealed = current.refreshSealed
      if (!fresh.isRotated) refreshSealed = usedSealed
    }
  }

  /** Any failure counts as Postgres being away: what is given up here may be the only living token. */
  async function storeUntilTaken(userId: number, write: () => Promise<void>): Promise<void> {
    for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 3_000)) {
      try {
        return await write()
      } catch (err) {
        if (isRecordFault(err) || err instanceof UnreadableTokenError) throw err
        log.warn({ err, userId }, 'token_store_retried')
        await delay(waitMs)
      }
    }
  }

  async function wasReplaced(userId: number, old: string): Promise<boolean> {
    const current = await readTokens(sql, userId)
    return current !== null && (await crypto.open(current.refreshSealed)) !== old
  }

  async function refreshClaimed(
    userId: number,
    used: StoredTokens,
    { rejected, early, permit }: RefreshOrder,
  ): Promise<RefreshResult> {
    if (!early && used.accessSealed && used.expiresInMs > expiryMarginMs) {
      const accessToken = await crypto.open(used.accessSealed)
      // Another refresher was faster: its token is not the one that was rejected.
      if (accessToken !== rejected) return { type: 'fresh', accessToken }
    }
    const old = await crypto.open(used.refreshSealed)
    const keep = async (tokens: Tokens): Promise<void> => {
      checkpoint('poller.refreshed')
      const fresh = await seal(old, used, tokens)
      await storeUntilTaken(userId, () => store(userId, old, used, fresh))
    }
    const answer = await refreshTokens(gateway, old, { permit, keep })
    if (answer.type === 'deferred') return { type: 'deferred', retryAfterMs: answer.refusal.retryAfterMs }
    if (answer.type === 'tokens') return { type: 'fresh', accessToken: answer.tokens.accessToken }
    // Dead is only the token that was asked with; the user may have connected again while it was.
    if (answer.outcome.type === 'invalid_grant' && (await wasReplaced(userId, old))) return busy
    return answer
  }

  /** Nobody asks again with an access token that was answered with 401, whether or not there is a new one soon. */
  async function forget(userId: number, rejected: string): Promise<void> {
    const accessSealed = (await readTokens(sql, userId))?.accessSealed
    if (!accessSealed || (await crypto.open(accessSealed)) !== rejected) return
    await expireAccess(sql, userId, accessSealed)
  }

  async function claimAndRefresh(userId: number, how: RefreshOrder): Promise<RefreshResult> {
    const claim = await claimRefresh(sql, userId, claimMs)
    if (!claim) return (await readTokens(sql, userId)) ? busy : { type: 'no_tokens' }
    try {
      return await refreshClaimed(userId, claim.tokens, how)
    } finally {
      await releaseRefresh(sql, userId, claim).catch((err) => log.warn({ err, userId }, 'refresh_claim_kept'))
    }
  }

  return {
    async refresh(userId, { rejected, early = false } = {}) {
      if (rejected !== undefined) await forget(userId, rejected)
      // Before the claim: between it and the request Postgres is not needed.
      const { permits, refusal } = await gateway.reserve('accounts', 1)
      const [permit] = permits
      if (!permit) return { type: 'deferred', retryAfterMs: refusal?.retryAfterMs ?? busy.retryAfterMs }
      return withPermit(permit, () => claimAndRefresh(userId, { rejected, early, permit }))
    },
  }
}

interface RefreshOrder {
  rejected: string | undefined
  early: boolean
  permit: Permit
}

/** What a refresh brought, sealed. */
type SealedAnswer = Omit<Parameters<typeof storeRefreshed>[2], 'usedSealed'> & {
  /** Spotify gave another refresh token. */
  isRotated: boolean
}
