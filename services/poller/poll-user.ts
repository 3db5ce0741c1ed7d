import { checkpoint } from '../../lib/checkpoint.ts'
import type { EventType } from '../../lib/events.ts'
import type { OutcomeType } from '../../lib/spotify/outcome.ts'
import type { Permit } from '../../lib/spotify/permit.ts'
import { withPermit } from '../../lib/spotify/permit.ts'
import { withDeadline } from '../../lib/time-limit.ts'
import type { ClaimedUser } from './claims.ts'
import { activate } from './claims.ts'
import { defer, handleFailure, parkUser, retry } from './failures.ts'
import type { Page } from './fetch.ts'
import { fetchPage } from './fetch.ts'
import { notices } from './notices.ts'
import type { Fairness } from './plan.ts'
import { planNext } from './plan.ts'
import type { PollContext, PollOutcome } from './poll-context.ts'

/** The outcome of a poll, and Spotify's answer, or null if it was not asked. */
export interface Polled {
  outcome: PollOutcome
  answer: OutcomeType | null
}

/** Share of the lease after which requests are aborted, before another poller may claim the user. */
const deadlineShare = 0.8

/**
 * Polls one leased user. The page is published before the state is written, so a kill is harmless at any point.
 * Before the publish, the user is polled again when the lease ends; between the two, the same page is published
 * twice, and the loader finds duplicates.
 *
 * @throws when Kafka, Postgres or anything else is away; a page that is not in the topic is never recorded
 */
export async function pollUser(
  context: PollContext,
  user: ClaimedUser,
  { permit, fairness }: { permit: Permit; fairness: Fairness },
): Promise<Polled> {
  const fetched = await withPermit(permit, () =>
    withDeadline(context.settings.leaseMs * deadlineShare, (signal) =>
      fetchPage(context, user, { permit, signal }),
    ),
  )
  switch (fetched.type) {
    case 'page':
      return { outcome: await keepPage(context, user, { ...fetched, fairness }), answer: 'ok' }
    case 'failed':
      return {
        outcome: await handleFailure(context, user, { ...fetched, fairness }),
        answer: fetched.outcome.type,
      }
    case 'deferred':
      return { outcome: await defer(context, user, fetched.retryAfterMs), answer: null }
    case 'no_tokens':
      return { outcome: await parkUser(context, user, { reason: 'no_tokens', words: '' }), answer: null }
    case 'other_app':
      await context.incidents.raise(notices.otherApp(fetched.clientId))
      return { outcome: await retry(context, user, { error: 'other_app', fairness }), answer: null }
    case 'unreadable':
      await context.incidents.raise(notices.unreadableTokens(fetched.message))
      return { outcome: await retry(context, user, { error: 'token_unreadable', fairness }), answer: null }
  }
}

async function keepPage(
  context: PollContext,
  user: ClaimedUser,
  { page, fairness }: { page: Page; fairness: Fairness },
): Promise<PollOutcome> {
  const { postgres, settings } = context
  const { body, fetchedAt, status, summary } = page
  await context.noteClock(page.skew)
  const isChanged = summary.digest !== user.pageDigest
  if (isChanged) {
    await context.publishPage(user.userId, {
      endpoint: 'recently-played',
      subject: String(user.userId),
      source: 'poll',
      fetchedAt,
      status,
      body,
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
    now: fetchedAt,
    jitter: Math.random(),
  })
  const newestPlayedAt = summary.playedAt[0] ?? null
  const { userId, leaseId } = user
  const isKept = await context.recordPage({ userId, leaseId, nextMs, digest: summary.digest, newestPlayedAt })
  if (user.hasIncident) await endIncidents(context, user)
  if (!isKept) return 'lease_lost'
  return isChanged ? 'published' : 'unchanged'
}

const userIncidents: readonly EventType[] = ['user_needs_reauth', 'user_forbidden']

async function endIncidents({ incidents }: PollContext, user: ClaimedUser): Promise<void> {
  for (const type of userIncidents) await incidents.resolve(notices.userIsBack(user, type))
}
