import type { Outcome } from '../../lib/spotify/outcome.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import type { ClaimedUser } from './claims.ts'
import { giveBack, park, recordFailure } from './claims.ts'
import { countRefreshes, unparkRecent } from './dead-tokens.ts'
import { believeAfterMs, evaluateDeadToken, toProbeDelay, toVerdict } from './evaluate.ts'
import { notices } from './notices.ts'
import type { Fairness } from './plan.ts'
import { planRetry } from './plan.ts'
import type { PollContext, PollOutcome } from './poll-user.ts'

/**
 * Acts on an answer that is no page, by its verdict; ends the lease. Nothing of it touches another user.
 */
export async function handleFailure(
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
  const { postgres, incidents, gateway, log } = context
  if (user.status === 'active' && user.lastError !== 'invalid_grant') {
    return retry(context, user, { error: 'invalid_grant', fairness })
  }
  const failingMs = await recordFailure(postgres, user, 'invalid_grant')
  if (failingMs === null) return 'lease_lost'
  const counts = await countRefreshes(postgres)
  if (evaluateDeadToken(counts, failingMs) === 'user') return parkUser(context, user, 'invalid_grant')

  const failing = Math.max(...counts.map((c) => c.failing))
  await incidents.raise(notices.accountsOutage(failing))
  await gateway.pause({ lanes: ['accounts'], ms: 60_000, maxMs: 15 * 60_000, reason: 'outage' })
  await giveBack(postgres, [user], toRetryMs(context, user, fairness))
  const unparked = await unparkRecent(postgres, believeAfterMs)
  log.warn({ failing, unparked }, 'dead_tokens_taken_for_outage')
  return 'failed'
}

type ParkReason = 'invalid_grant' | 'missing_scope' | 'no_tokens' | 'user_not_listed'

/** The event first: a crash in between tells it twice, never not at all. */
export async function parkUser(
  context: PollContext,
  user: ClaimedUser,
  reason: ParkReason,
): Promise<PollOutcome> {
  const { postgres, incidents, log } = context
  const isForbidden = reason === 'user_not_listed'
  await incidents.raise(isForbidden ? notices.forbidden(user) : notices.needsReauth(user, reason))
  const probeMs = toProbeDelay({ justParked: user.status === 'active' })
  await park(postgres, user, { status: isForbidden ? 'forbidden' : 'needs_reauth', reason, probeMs })
  log.warn({ userId: user.userId, reason, probeMs }, 'user_parked')
  return 'parked'
}

/** A parked user's probe that failed for another reason changes nothing but the time of the next one. */
export async function retry(
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
export async function defer(context: PollContext, user: ClaimedUser, ms: number): Promise<PollOutcome> {
  await giveBack(context.postgres, [user], Math.min(ms, context.settings.maxIntervalMs))
  return 'deferred'
}
