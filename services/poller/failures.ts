import { consentEndsAt } from '../../lib/spotify/consent.ts'
import type { Outcome, OutcomeType } from '../../lib/spotify/outcome.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import { outcomeRules } from '../../lib/spotify/outcome-rules.ts'
import { believeAfterMs, evaluateBlame, toProbeDelay } from './blame.ts'
import type { ClaimedUser, Failure } from './claims.ts'
import { giveBack, park, recordFailure } from './claims.ts'
import type { Others } from './evidence.ts'
import { pickControl, readRefusalEvidence, readTokenEvidence, unparkRecent } from './evidence.ts'
import type { ParkReason } from './notices.ts'
import { notices } from './notices.ts'
import type { Fairness } from './plan.ts'
import { planRetry } from './plan.ts'
import type { PollContext, PollOutcome } from './poll-context.ts'

/** Acts on an answer other than a page, by its rule, and ends the lease. Only an outage changes other users. */
export async function handleFailure(
  context: PollContext,
  user: ClaimedUser,
  failure: { outcome: Outcome; fairness: Fairness },
): Promise<PollOutcome> {
  const { outcome, fairness } = failure
  context.log.debug({ userId: user.userId, outcome: describeOutcome(outcome) }, 'poll_failed')
  const { again, parks } = outcomeRules[outcome.type]
  if (again === 'pause') return failForApp(context, user, outcome)
  if (parks === null) return retry(context, user, { error: outcome.type, fairness })
  return failForUser(context, user, failure)
}

/** The lane is paused. Nothing counts against the user, who is polled again after the pause. */
async function failForApp(context: PollContext, user: ClaimedUser, outcome: Outcome): Promise<PollOutcome> {
  if (outcome.type === 'premium_lapsed') await context.incidents.raise(notices.premiumLapsed())
  if (outcome.type === 'invalid_client') await context.incidents.raise(notices.credentials(outcome.message))
  return defer(context, user, context.settings.minIntervalMs)
}

/** Parks the user if the answer is surely about them: see {@link evaluateBlame}. */
async function failForUser(
  context: PollContext,
  user: ClaimedUser,
  failure: { outcome: Outcome; fairness: Fairness },
): Promise<PollOutcome> {
  const { outcome, fairness } = failure
  const recorded = await recordFailure(context.postgres, user, outcome.type)
  if (!recorded) return 'lease_lost'
  const to = { reason: outcome.type, words: 'message' in outcome ? outcome.message : '' }
  if (user.status !== 'active') return parkUser(context, user, to)
  const others = await readOthers(context, user, { type: outcome.type, recorded })
  const blame = evaluateBlame({ ...recorded, ...others })
  if (blame === 'user') return parkUser(context, user, to)
  if (blame === 'outage') await noteOutage(context, outcome.type, others.failing)
  await giveBack(context.postgres, [user], toRetryMs(context, user, { fairness, recorded }))
  return 'failed'
}

/**
 * Tokens are renewed once an hour, so successes of others are rare. From the second refusal on another user's
 * token is renewed early, to see whether the accounts service works.
 */
async function readOthers(
  context: PollContext,
  { userId }: ClaimedUser,
  { type, recorded }: { type: OutcomeType; recorded: Failure },
): Promise<Others> {
  const { postgres, refresher, clientId } = context
  if (type !== 'invalid_grant') return readRefusalEvidence(postgres, userId, recorded.forMs)
  const others = await readTokenEvidence(postgres, userId, recorded.forMs)
  if (others.working > 0 || recorded.tries < 2) return others
  const control = await pickControl(postgres, userId, clientId)
  if (control === null) return others
  const renewed = await refresher.refresh(control, { early: true })
  return { ...others, working: renewed.type === 'fresh' ? 1 : 0 }
}

async function noteOutage(context: PollContext, type: OutcomeType, failing: number): Promise<void> {
  const { postgres, incidents, gateway, log } = context
  if (type === 'invalid_grant') {
    await incidents.raise(notices.accountsOutage(failing))
    await gateway.pause({ lanes: ['accounts'], ms: 60_000, maxMs: 15 * 60_000, reason: 'outage' })
  }
  const unparked = await unparkRecent(postgres, type, believeAfterMs)
  log.warn({ type, failing, unparked }, 'refusals_taken_for_outage')
}

/** Publishes before parking: a crash in between may repeat the event but never loses it. */
export async function parkUser(
  context: PollContext,
  user: ClaimedUser,
  to: ParkReason,
): Promise<PollOutcome> {
  const { postgres, incidents, log } = context
  const { reason } = to
  const status = (reason === 'no_tokens' ? null : outcomeRules[reason].parks) ?? 'needs_reauth'
  await incidents.raise(status === 'forbidden' ? notices.forbidden(user, to) : notices.needsReauth(user, to))
  const probes = user.status === 'active' ? 0 : user.probes + 1
  const consent = reason === 'invalid_grant' ? toConsent(user, new Date()) : 'living'
  const probeMs = toProbeDelay({ probes, consent, jitter: Math.random() })
  await park(postgres, user, { status, reason, probeMs })
  log.warn({ userId: user.userId, reason, probeMs }, 'user_parked')
  return 'parked'
}

function toConsent({ authorizedAt }: ClaimedUser, now: Date): 'living' | 'ended' | 'unknown' {
  if (authorizedAt === null) return 'unknown'
  return consentEndsAt(authorizedAt) > now ? 'living' : 'ended'
}

/** A parked user's probe that failed for another reason changes nothing but the time of the next one. */
export async function retry(
  context: PollContext,
  user: ClaimedUser,
  failure: { error: string; fairness: Fairness },
): Promise<PollOutcome> {
  const { postgres } = context
  const { fairness, error } = failure
  const recorded = await recordFailure(postgres, user, error)
  if (!recorded) return 'lease_lost'
  const nextMs =
    user.status === 'active'
      ? toRetryMs(context, user, { fairness, recorded })
      : (toProbeDelay({ probes: user.probes, consent: 'living', jitter: Math.random() }) ?? 0)
  await giveBack(postgres, [user], nextMs)
  return 'failed'
}

function toRetryMs(
  { settings }: PollContext,
  user: ClaimedUser,
  { fairness, recorded }: { fairness: Fairness; recorded: Failure },
): number {
  return planRetry({
    bounds: settings,
    fairness,
    failures: user.failures + 1,
    othersFail: recorded.othersFail,
    jitter: Math.random(),
  })
}

/** Waits at most the longest interval: the pause may be lifted early. */
export async function defer(context: PollContext, user: ClaimedUser, ms: number): Promise<PollOutcome> {
  await giveBack(context.postgres, [user], Math.min(ms, context.settings.maxIntervalMs))
  return 'deferred'
}
