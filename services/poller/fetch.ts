import { messageOf, overRecords } from '../../lib/errors.ts'
import type { Budget } from '../../lib/spotify/budget.ts'
import type { Answer, SpotifyClient } from '../../lib/spotify/client.ts'
import type { Outcome } from '../../lib/spotify/outcome.ts'
import type { Refresher } from '../../lib/spotify/refresh.ts'
import type { TokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { UnreadableTokenError } from '../../lib/spotify/token-crypto.ts'
import { expiryMarginMs } from '../../lib/spotify/tokens.ts'
import type { ClaimedUser } from './claims.ts'
import type { PageSummary } from './page.ts'
import { summarise } from './page.ts'
import { pageSize } from './plan.ts'

/** A page as it came, and what the poller reads of it. Not its JSON: that is three times as large, and done with. */
export interface Page extends Pick<Answer, 'body' | 'fetchedAt'> {
  status: number
  summary: PageSummary
}

/** What came of asking Spotify for a user's page. */
export type Fetched =
  | { type: 'page'; page: Page }
  | { type: 'failed'; outcome: Outcome }
  /** Not asked: come back after `retryAfterMs`. */
  | { type: 'deferred'; retryAfterMs: number }
  | { type: 'no_tokens' }
  | { type: 'unreadable'; message: string }

export interface FetchContext {
  client: SpotifyClient
  budget: Budget
  refresher: Refresher
  crypto: TokenCrypto
}

type Access = { type: 'token'; accessToken: string; isFresh: boolean } | Exclude<Fetched, { type: 'page' }>

/**
 * The last 50 plays of a user, without a cursor: late and offline plays turn up inside the window, where a
 * cursor would never show them. An access token about to expire is renewed first; one that is answered with 401
 * is renewed once, and the page asked for once more.
 *
 * The first request is paid for: the caller has reserved it in the lane `polling`.
 */
export async function fetchPage(
  context: FetchContext,
  user: ClaimedUser,
  signal: AbortSignal,
): Promise<Fetched> {
  try {
    const access = await readAccess(context, user, signal)
    if (access.type !== 'token') return access
    const first = await askPage(context, access.accessToken, signal)
    if (first.outcome.type !== 'unauthorized' || access.isFresh) return toFetched(first)

    const renewed = await renew(context, user, { rejected: access.accessToken, signal })
    if (renewed.type !== 'token') return renewed
    const { refusal } = await context.budget.reserve('polling', 1)
    if (refusal) return { type: 'deferred', retryAfterMs: refusal.retryAfterMs }
    return toFetched(await askPage(context, renewed.accessToken, signal))
  } catch (error) {
    if (error instanceof UnreadableTokenError) return { type: 'unreadable', message: messageOf(error) }
    throw error
  }
}

async function readAccess(context: FetchContext, user: ClaimedUser, signal: AbortSignal): Promise<Access> {
  const { tokens } = user
  if (!tokens) return { type: 'no_tokens' }
  if (!tokens.accessSealed || tokens.expiresInMs <= expiryMarginMs) return renew(context, user, { signal })
  return { type: 'token', accessToken: await context.crypto.open(tokens.accessSealed), isFresh: false }
}

async function renew(
  { refresher }: FetchContext,
  user: ClaimedUser,
  call: { rejected?: string; signal: AbortSignal },
): Promise<Access> {
  const result = await refresher.refresh(user.userId, call)
  if (result.type === 'fresh') return { type: 'token', accessToken: result.accessToken, isFresh: true }
  return result.type === 'refused' ? { type: 'failed', outcome: result.outcome } : result
}

async function askPage(
  { client, budget }: FetchContext,
  accessToken: string,
  signal: AbortSignal,
): Promise<Answer> {
  const answer = await client.get({
    kind: 'recently-played',
    lane: 'polling',
    path: '/me/player/recently-played',
    query: { limit: pageSize },
    accessToken,
    signal,
  })
  await budget.settle('polling', answer.outcome)
  return answer
}

function toFetched(answer: Answer): Fetched {
  const { outcome, body, fetchedAt, status } = answer
  if (outcome.type !== 'ok' || status === null) return { type: 'failed', outcome }
  const summary = overRecords(() => summarise(outcome.json, fetchedAt))
  return { type: 'page', page: { body, fetchedAt, status, summary } }
}
