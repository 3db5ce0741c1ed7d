import { messageOf, overRecords } from '../../lib/errors.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { Asked, Gateway } from '../../lib/spotify/gateway.ts'
import type { Answer } from '../../lib/spotify/http-answer.ts'
import type { Outcome } from '../../lib/spotify/outcome.ts'
import type { Permit } from '../../lib/spotify/permit.ts'
import type { Refresher } from '../../lib/spotify/refresh.ts'
import type { TokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { UnreadableTokenError } from '../../lib/spotify/token-crypto.ts'
import { expiryMarginMs } from '../../lib/spotify/tokens.ts'
import type { ClaimedUser } from './claims.ts'
import { readClock } from './claims.ts'
import type { PageTime } from './clock.ts'
import { isSkewed, toPageTime } from './clock.ts'
import type { PageSummary } from './page.ts'
import { summarise } from './page.ts'
import { pageSize } from './plan.ts'

/** A page as received, and its summary. Its parsed JSON, three times as large, is not kept. */
export interface Page extends Pick<Answer, 'body' | 'fetchedAt'> {
  status: number
  /** How this machine's clock and Spotify's differ, or null if they agree. */
  skew: PageTime | null
  summary: PageSummary
}

/** The result of asking Spotify for a user's page. */
export type Fetched =
  | { type: 'page'; page: Page }
  | { type: 'failed'; outcome: Outcome }
  /** Not asked: try again after `retryAfterMs`. */
  | { type: 'deferred'; retryAfterMs: number }
  | { type: 'no_tokens' }
  /** The tokens belong to another app, so Spotify would refuse them to this one. */
  | { type: 'other_app'; clientId: string }
  | { type: 'unreadable'; message: string }

export interface FetchContext {
  gateway: Gateway
  /** Of the app that asks. */
  clientId: string
  refresher: Refresher
  crypto: TokenCrypto
  postgres: Sql
}

type Access = { type: 'token'; accessToken: string; isFresh: boolean } | Exclude<Fetched, { type: 'page' }>

/**
 * Fetches the last 50 plays of a user, without a cursor: late and offline plays appear among older ones, where a
 * cursor would miss them. An access token about to expire is renewed first. After a 401 it is renewed once, and the
 * page is asked for once more.
 *
 * @param permit for the first request of the page; the caller returns it if it was not used
 */
export async function fetchPage(
  context: FetchContext,
  user: ClaimedUser,
  { permit, signal }: { permit: Permit; signal: AbortSignal },
): Promise<Fetched> {
  try {
    const access = await readAccess(context, user)
    if (access.type !== 'token') return access
    // A refresh may have used up the lease: another poller may have the user by now.
    if (signal.aborted) return { type: 'deferred', retryAfterMs: 0 }
    const first = await askPage(context, { accessToken: access.accessToken, permit, signal })
    const isRejected = first.type === 'answered' && first.answer.outcome.type === 'unauthorized'
    if (!isRejected || access.isFresh) return await toFetched(context, first)

    const renewed = await renew(context, user, access.accessToken)
    if (renewed.type !== 'token') return renewed
    if (signal.aborted) return { type: 'deferred', retryAfterMs: 0 }
    return await toFetched(context, await askPage(context, { accessToken: renewed.accessToken, signal }))
  } catch (error) {
    if (error instanceof UnreadableTokenError) return { type: 'unreadable', message: messageOf(error) }
    throw error
  }
}

async function readAccess(context: FetchContext, user: ClaimedUser): Promise<Access> {
  const { tokens } = user
  if (!tokens) return { type: 'no_tokens' }
  if (tokens.clientId !== null && tokens.clientId !== context.clientId) {
    return { type: 'other_app', clientId: tokens.clientId }
  }
  if (!tokens.accessSealed || tokens.expiresInMs <= expiryMarginMs) return renew(context, user)
  return { type: 'token', accessToken: await context.crypto.open(tokens.accessSealed), isFresh: false }
}

async function renew({ refresher }: FetchContext, user: ClaimedUser, rejected?: string): Promise<Access> {
  const result = await refresher.refresh(user.userId, { ...(rejected !== undefined && { rejected }) })
  if (result.type === 'fresh') return { type: 'token', accessToken: result.accessToken, isFresh: true }
  return result.type === 'refused' ? { type: 'failed', outcome: result.outcome } : result
}

function askPage(
  { gateway }: FetchContext,
  call: { accessToken: string; permit?: Permit; signal: AbortSignal },
): Promise<Asked> {
  const { accessToken, permit, signal } = call
  return gateway.get(
    {
      kind: 'recently-played',
      lane: 'polling',
      path: '/me/player/recently-played',
      query: { limit: pageSize },
      accessToken,
      signal,
    },
    permit,
  )
}

async function toFetched({ postgres }: FetchContext, asked: Asked): Promise<Fetched> {
  if (asked.type === 'refused') return { type: 'deferred', retryAfterMs: asked.refusal.retryAfterMs }
  const { outcome, body, status, fetchedAt: ours, serverDate } = asked.answer
  if (outcome.type !== 'ok' || status === null) return { type: 'failed', outcome }
  const skew = isSkewed(ours, serverDate)
    ? toPageTime({ ours, spotify: serverDate, postgres: await readClock(postgres) })
    : null
  const fetchedAt = skew?.fetchedAt ?? ours
  const summary = overRecords(() => summarise(outcome.json, fetchedAt))
  return { type: 'page', page: { body, fetchedAt, status, skew, summary } }
}
