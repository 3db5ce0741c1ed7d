import { checkpoint } from '../../lib/checkpoint.ts'
import type { EventType, Notice } from '../../lib/events.ts'
import type { Logger } from '../../lib/log.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { Answer } from '../../lib/spotify/client.ts'
import type { Incidents } from '../../lib/spotify/incidents.ts'
import type { Outcome } from '../../lib/spotify/outcome.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { ClaimedUser } from './claims.ts'
import { activate, giveBack, park, recordFailure, recordPage } from './claims.ts'
import type { PollSettings } from './config.ts'
import { countRefreshes, unparkRecent } from './dead-tokens.ts'
import { evaluateDeadToken, toProbeDelay, toVerdict } from './evaluate.ts'
import type { FetchContext } from './fetch.ts'
import { fetchPage } from './fetch.ts'
import { notices } from './notices.ts'
import { summarise } from './page.ts'
import type { Fairness } from './plan.ts'
import { planNext, planRetry } from './plan.ts'

export interface PollContext extends FetchContext {
  postgres: Postgres
  settings: PollSettings
  incidents: Incidents
  publishPage: (userId: number, response: SpotifyResponse) => Promise<void>
  publishNotice: (notice: Notice) => Promise<void>
  log: Logger
}

/** Label of the metric `songswap_polls_total`. */
export type PollOutcome = 'published' | 'unchanged' | 'deferred' | 'parked' | 'failed' | 'lease_lost'

/** What a poll tells the others: how it counts, and Spotify's answer where there was one. */
export interface Polled {
  outcome: PollOutcome
  answer: Outcome | null
}

/** Of the lease: no request to Spotify goes on when the user may already be somebody else's. */
const deadlineShare = 0.8

/**
 * Polls one leased user. The order is what makes a kill harmless at any point: the page is in the topic before
 * the state says so. Killed before, the user is polled again when the lease ends; killed between, the same page
 * is published twice, and its plays are duplicates for the loader.
 *
 * @throws a retriable error when Kafka or Postgres are away; the user's state has not moved then
 */
export async function pollUser(context: PollContext, user: ClaimedUser, fairness: Fairness): Promise<Polled> {
  const signal = AbortSignal.timeout(context.settings.leaseMs * deadlineShare)
  const fetched = await fetchPage(context, user, signal)
  switch (fetched.type) {
    case 'page':
      return {
        outcome: await keepPage(context, user, { ...fetched, fairness }),
        answer: fetched.answer.outcome,
      }
    case 'failed':
      return { outcome: await fail(context, user, { ...fetched, fairness }), answer: fetched.outcome }
    case 'deferred':
      return { outcome: await defer(context, user, fetched.retryAfterMs), answer: null }
    case 'no_tokens':
      return { outcome: await parkUser(context, user, 'no_tokens'), answer: null }
    case 'unreadable':
      await context.incidents.raise(notices.unreadableTokens(fetched.message))
      return { outcome: await retry(context, user, { error: 'token_unreadable', fairness }), answer: null }
  }
}

async function keepPage(
  context: PollContext,
  user: ClaimedUser,
  page: { answer: Answer; json: unknown; fairness: Fairness },
): Promise<PollOutcome> {
  const { postgres, settings } = context
  const { answer, fairness } = page
  const summary = summarise(page.json, answer.fetchedAt)
  const isChanged = summary.digest !== user.pageDigest
  if (isChanged) {
    await context.publishPage(user.userId, {
      endpoint: 'recently-played',
      subject: String(user.userId),
      source: 'poll',
      fetchedAt: answer.fetchedAt,
      status: answer.status ?? 200,
      body: answer.body,
    })
    checkpoint('poller.published')
  }
  if (user.isNew && user.displayName === null) await context.publishNotice(notices.profileIncomplete(user))
  if (user.status !== 'active') await activate(postgres, user)
  const nextMs = planNext({
    bounds: settings,
    fairness,
    playedAt: summary.playedAt,
    previousNewest: user.newestPlayedAt,
    now: answer.fetchedAt,
    jitter: Math.random(),
  })
  const newestPlayedAt = summary.playedAt[0] ?? null
  const isKept = await recordPage(postgres, user, { nextMs, digest: summary.digest, newestPlayedAt })
  if (user.hasIncident) await endIncidents(context, user)
  if (!isKept) return 'lease_lost'
  return isChanged ? 'published' : 'unchanged'
}

async function fail(
  context: PollContext,
  user: ClaimedUser,
  failure: { outcome: Outcome; fairness: Fairness },
): Promise<PollOutcome> {
  const { outcome, fairness } = failure
  context.log.debug({ userId: user.userId, outcome: describeOutcome(outcome) }, 'poll_failed')
  switch (toVerdict(outcome)) {
    case 'app':
      return failForApp(context, user, outcome)
    case 'not_listed':
      return parkUser(context, user, 'user_not_listed')
    case 'missing_scope':
      return parkUser(context, user, 'missing_scope')
    case 'dead_token':
      return failForDeadToken(context, user, fairness)
    case 'retry':
      return retry(context, user, { error: outcome.type, fairness })
  }
}

/** Nothing is counted against the user: the lane is paused, and they are asked for again when it is not. */
async function failForApp(context: PollContext, user: ClaimedUser, outcome: Outcome): Promise<PollOutcome> {
  if (outcome.type === 'premium_lapsed') await context.incidents.raise(notices.premiumLapsed())
  if (outcome.type === 'invalid_client') await context.incidents.raise(notices.credentials(outcome.message))
  return defer(context, user, context.settings.minIntervalMs)
}

/** One refusal may be a hiccup of the accounts service, many at once are: see {@link evaluateDeadToken}. */
async function failForDeadToken(
  context: PollContext,
  user: ClaimedUser,
  fairness: Fairness,
): Promise<PollOutcome> {
  const { postgres, incidents, budget, log } = context
  if (user.status === 'active' && user.lastError !== 'invalid_grant') {
    return retry(context, user, { error: 'invalid_grant', fairness })
  }
  const failingMs = await recordFailure(postgres, user, 'invalid_grant')
  if (failingMs === null) return 'lease_lost'
  const counts = await countRefreshes(postgres)
  if (evaluateDeadToken(counts, failingMs) === 'user') return parkUser(context, user, 'invalid_grant')

  const failing = Math.max(...counts.map((c) => c.failing))
  await incidents.raise(notices.accountsOutage(failing))
  await budget.pause({ lanes: ['accounts'], ms: 60_000, maxMs: 15 * 60_000, reason: 'outage' })
  await giveBack(postgres, [user], toRetryMs(context, user, fairness))
  const unparked = await unparkRecent(postgres)
  log.warn({ failing, unparked }, 'dead_tokens_taken_for_outage')
  return 'failed'
}

type ParkReason = 'invalid_grant' | 'missing_scope' | 'no_tokens' | 'user_not_listed'

/** The event first: a crash in between tells it twice, never not at all. */
async function parkUser(context: PollContext, user: ClaimedUser, reason: ParkReason): Promise<PollOutcome> {
  const { postgres, incidents, log } = context
  const isForbidden = reason === 'user_not_listed'
  await incidents.raise(isForbidden ? notices.forbidden(user) : notices.needsReauth(user, reason))
  const probeMs = toProbeDelay({ justParked: user.status === 'active' })
  await park(postgres, user, { status: isForbidden ? 'forbidden' : 'needs_reauth', reason, probeMs })
  log.warn({ userId: user.userId, reason, probeMs }, 'user_parked')
  return 'parked'
}

/** A parked user's probe that failed for another reason changes nothing but the time of the next one. */
async function retry(
  context: PollContext,
  user: ClaimedUser,
  failure: { error: string; fairness: Fairness },
): Promise<PollOutcome> {
  const { postgres } = context
  if ((await recordFailure(postgres, user, failure.error)) === null) return 'lease_lost'
  const nextMs =
    user.status === 'active' ? toRetryMs(context, user, failure.fairness) : toProbeDelay({ justParked: true })
  await giveBack(postgres, [user], nextMs)
  return 'failed'
}

function toRetryMs(context: PollContext, user: ClaimedUser, fairness: Fairness): number {
  return planRetry({
    bounds: context.settings,
    fairness,
    failures: user.failures + 1,
    jitter: Math.random(),
  })
}

/** Not for longer than the longest interval: the pause may be lifted before its time. */
async function defer(context: PollContext, user: ClaimedUser, ms: number): Promise<PollOutcome> {
  await giveBack(context.postgres, [user], Math.min(ms, context.settings.maxIntervalMs))
  return 'deferred'
}

const userIncidents: readonly EventType[] = ['user_needs_reauth', 'user_forbidden']

async function endIncidents({ incidents }: PollContext, user: ClaimedUser): Promise<void> {
  for (const type of userIncidents) await incidents.resolve(notices.userIsBack(user, type))
}
