import { fairInterval, safePollIntervalMs } from '../spotify/budget-plan.ts'

export interface PollingRules {
  /** Polling has stopped when somebody was due and allowed for so long, and nobody was polled. */
  stoppedMs: number
  /** A user is unpolled this long beyond what their plan says. */
  unpolledMs: number
}

/** What Postgres knows of the request budget and the pauses of polling; times are Unix times in milliseconds. */
export interface Allowance {
  dailyRequests: number
  /** Of all lanes, in the window that began last. */
  used: number
  /** Null if there was none. */
  windowStartedAt: number | null
  windowMs: number
  /** When the last pause began, or null if that is not known. */
  pausedFrom: number | null
  pausedUntil: number | null
  /** Pauses in a row without a success between. */
  strikes: number
}

/** Pauses in a row that are no excuse any more: nothing was achieved between them. */
const recurringStrikes = 3

/** A stretch of time, in Unix milliseconds. */
export interface Stretch {
  from: number
  until: number
}

/** Whether polling is allowed. */
export interface Allowed {
  /**
   * Since when, or null while it is not: Spotify asked for a pause, or the budget is spent. 0: for longer than
   * anybody remembers.
   */
  allowedSince: number | null
  /** The last pause, which is over and does not count as silence; null if there was none, or it is no excuse. */
  paused: Stretch | null
}

export function toAllowed(of: Allowance, now: number, { stoppedMs }: PollingRules): Allowed {
  const windowEnd = (of.windowStartedAt ?? Number.NEGATIVE_INFINITY) + of.windowMs
  // More than all of it is used by pollers that were given more: then the figure here says nothing.
  const spent = of.used === of.dailyRequests
  if (spent && now < windowEnd) return { allowedSince: null, paused: null }
  const refilledAt = spent ? windowEnd : 0
  const pausedUntil = of.pausedUntil ?? 0
  const recurs = of.strikes >= recurringStrikes && pausedUntil - now < stoppedMs
  if (pausedUntil > now && !recurs) return { allowedSince: null, paused: null }
  if (recurs || pausedUntil === 0) return { allowedSince: refilledAt, paused: null }
  if (of.pausedFrom === null) return { allowedSince: Math.max(refilledAt, pausedUntil), paused: null }
  return { allowedSince: refilledAt, paused: { from: of.pausedFrom, until: pausedUntil } }
}

/** How long polling has been awaited since a moment: a pause stops this clock, and does not set it back. */
function awaitedMs(since: number, at: { now: number; allowedSince: number; paused: Stretch | null }): number {
  const from = Math.max(since, at.allowedSince)
  const pausedMs = at.paused ? at.paused.until - Math.max(at.paused.from, from) : 0
  return at.now - from - Math.max(0, pausedMs)
}

/** The longest that a plan may make anybody wait now: every poller sees to that. */
export function longestPlan(
  of: Allowance,
  { activeUsers, now, maxIntervalMs }: { activeUsers: number; now: number; maxIntervalMs: number },
): number {
  const windowEnd = (of.windowStartedAt ?? Number.NEGATIVE_INFINITY) + of.windowMs
  const running = now < windowEnd
  return Math.max(
    safePollIntervalMs,
    maxIntervalMs,
    fairInterval({
      activeUsers,
      remainingMs: running ? windowEnd - now : of.windowMs,
      left: Math.max(0, of.dailyRequests - (running ? of.used : 0)),
    }),
  )
}

/** When the budget was filled last: plans that are older were made for what was left then. 0: not known. */
export function filledAt(of: Allowance, now: number): number {
  if (of.windowStartedAt === null) return 0
  const windowEnd = of.windowStartedAt + of.windowMs
  return now < windowEnd ? of.windowStartedAt : windowEnd
}

/** All users at one moment of the database's clock; times are Unix times in milliseconds. */
export interface PollingFacts extends Allowed {
  now: number
  activeUsers: number
  /** When anybody was polled with success last, or null if nobody ever was. */
  lastOkAt: number | null
  /** Since when an active user should have been polled, by their plan; null if nobody is. */
  dueSince: number | null
}

/**
 * `polling`: somebody was polled, or it is too early to say; `idle`: nobody is active; `not_allowed`: a pause of
 * Spotify's or a spent budget, which are reported by events of their own; `stopped`: none of these.
 */
export type PollingVerdict = 'polling' | 'idle' | 'not_allowed' | 'stopped'

/** Whether polling goes on. Who is paused by an operator or parked is not waited for. */
export function judgePolling(facts: PollingFacts, { stoppedMs }: PollingRules): PollingVerdict {
  if (facts.activeUsers === 0) return 'idle'
  const { now, allowedSince, paused } = facts
  if (allowedSince === null) return 'not_allowed'
  if (facts.dueSince === null) return 'polling'
  const silentSince = Math.max(facts.lastOkAt ?? 0, facts.dueSince)
  return awaitedMs(silentSince, { now, allowedSince, paused }) >= stoppedMs ? 'stopped' : 'polling'
}

/** One active user; times are Unix times in milliseconds. */
export interface UserFacts {
  lastOkAt: number | null
  createdAt: number
  /** When an operator, or a success, made them active again; equals `createdAt` where nothing did. */
  activeSince: number
}

/** Since when a user should have been polled and was not; null while polling is not allowed, or that is in time. */
export function unpolledSince(
  user: UserFacts,
  moment: Pick<PollingFacts, 'now' | 'allowedSince' | 'paused'> & { planMs: number },
  { unpolledMs }: PollingRules,
): number | null {
  const { now, allowedSince, paused, planMs } = moment
  if (allowedSince === null) return null
  const activeAgain = user.activeSince > user.createdAt ? user.activeSince : 0
  const since = Math.max(user.lastOkAt ?? user.createdAt, activeAgain)
  const unpolledForMs = awaitedMs(since, { now, allowedSince, paused })
  return unpolledForMs > planMs + unpolledMs ? now - unpolledForMs : null
}

const dayMs = 24 * 3_600_000

/** Somebody who listens has lost plays by then: that is a failure, no warning any more. */
export function isUnpolledForDays({ forMs }: { forMs: number }): boolean {
  return forMs > dayMs
}
