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
  /** Not now: another process refreshes this user or has just replaced the token, or the budget does not allow it. */
  | { type: 'deferred'; retryAfterMs: number }
  | { type: 'no_tokens' }
  | { type: 'refused'; outcome: Outcome }

export interface Refresher {
  /**
   * Gets a user a new access token and stores it. Over all processes, a user has one refresher at a time.
   *
   * Once Spotify was asked, it runs to its end: an answer that is dropped may hold the only living token.
   *
   * @param options.rejected the access token that was answered with 401; absent if it is about to expire
   * @param options.early refresh although the access token still lives
   * @throws UnreadableTokenError when the stored token cannot be opened
   */
  refresh(userId: number, options?: { rejected?: string; early?: boolean }): Promise<RefreshResult>
}

/** By then, another process that refreshes the user has ended. */
const busy = { type: 'deferred', retryAfterMs: 5_000 } as const

/**
 * A token can be lost in the rotation: Spotify may kill the old refresh token when it answers with a new one. So
 * Spotify is asked only right after Postgres has stored the claim, which shows that Postgres works. The answer is
 * stored before anything else is done with it, with retries until Postgres takes it or the process ends. A token is
 * still lost if the process ends before that, or if the answer is lost on its way. Then the old token is tried next,
 * which works unless Spotify has killed it; if it has, the user is asked to connect again.
 *
 * No transaction is open while Spotify is asked. The claim keeps other refreshers away, and the update compares the
 * old token: a refresher whose claim ran out cannot overwrite a newer token.
 */
export function createRefresher(options: {
  gateway: Gateway
  /** Stored with the tokens, because only this app can use them. */
  clientId: string
  sql: Sql
  crypto: TokenCrypto
  log: Logger
}): Refresher {
  const { gateway, clientId, sql, crypto, log } = options
  // How long the claim of a dead refresher keeps the others away. A living one has ended by then, unless Postgres is
  // away; but then no other process can claim either.
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
      // The row has another value: the same token under another key, after a rotation of keys, or a newer token.
      const current = await readTokens(sql, userId)
      if (!current || (await crypto.open(current.refreshSealed)) !== old) {
        log.warn({ userId }, 'token_replaced_meanwhile')
        return
      }
      usedSealed = current.refreshSealed
      if (!fresh.isRotated) refreshSealed = usedSealed
    }
  }

  /** Retries nearly every failure as an outage of Postgres, because it may hold the only living token. */
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
      // Another refresher was faster: the stored token is not the rejected one.
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
    // Only the old token is dead: the user may have connected again during the request.
    if (answer.outcome.type === 'invalid_grant' && (await wasReplaced(userId, old))) return busy
    return answer
  }

  /** Expires an access token that was answered with 401, so that no process uses it again, even if no new one comes. */
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
      // Reserve before the claim, so that Postgres is not needed between the claim and the request.
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

/** The sealed tokens of a refresh. */
type SealedAnswer = Omit<Parameters<typeof storeRefreshed>[2], 'usedSealed'> & {
  /** Whether Spotify gave a new refresh token. */
  isRotated: boolean
}
