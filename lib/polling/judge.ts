import { fairInterval, safePollIntervalMs } from '../spotify/budget-plan.ts'

export interface PollingRules {
  /** Polling has stopped when users were due, polling was allowed, and no user was polled for this long. */
  stoppedMs: number
  /** A user counts as unpolled this long after their plan. */
  unpolledMs: number
}

/** The request budget and the pauses of polling, as stored in Postgres; times are Unix times in milliseconds. */
export interface Allowance {
  dailyRequests: number
  /** Requests of all lanes in the window that began last. */
  used: number
  /** Null if there was no window. */
  windowStartedAt: number | null
  windowMs: number
  /** When the last pause began, or null if that is not known. */
  pausedFrom: number | null
  pausedUntil: number | null
  /** Pauses in a row without a success between them. */
  strikes: number
}

/** From this many pauses in a row on, a pause does not excuse silence: no request succeeded between them. */
const recurringStrikes = 3

/** A stretch of time, in Unix milliseconds. */
export interface Stretch {
  from: number
  until: number
}

/** Whether polling is allowed. */
export interface Allowed {
  /**
   * Since when, or null while it is not allowed: Spotify asked for a pause, or the budget is spent. 0 if it has been
   * allowed for longer than is known.
   */
  allowedSince: number | null
  /** The last pause, which is over and does not count as silence; null if there was none, or if it excuses nothing. */
  paused: Stretch | null
}

export function toAllowed(of: Allowance, now: number, { stoppedMs }: PollingRules): Allowed {
  const windowEnd = (of.windowStartedAt ?? Number.NEGATIVE_INFINITY) + of.windowMs
  // If more than all of it is used, the pollers have a larger budget than the one configured here: it decides nothing.
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

/** How long polling has been awaited since a moment. A pause stops this clock, but does not reset it. */
function awaitedMs(since: number, at: { now: number; allowedSince: number; paused: Stretch | null }): number {
  const from = Math.max(since, at.allowedSince)
  const pausedMs = at.paused ? at.paused.until - Math.max(at.paused.from, from) : 0
  return at.now - from - Math.max(0, pausedMs)
}

/** The longest that a poller's plan may make a user wait now. */
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

/** When the budget was last filled, or 0 if that is not known. Older plans were made for what was left before. */
export function filledAt(of: Allowance, now: number): number {
  if (of.windowStartedAt === null) return 0
  const windowEnd = of.windowStartedAt + of.windowMs
  return now < windowEnd ? of.windowStartedAt : windowEnd
}

/** All users at one moment of the database's clock; times are Unix times in milliseconds. */
export interface PollingFacts extends Allowed {
  now: number
  activeUsers: number
  /** When any user was last polled with success, or null if none ever was. */
  lastOkAt: number | null
  /** Since when, by their plans, an active user has been due, or null if none is. */
  dueSince: number | null
}

/**
 * `polling`: a user was polled, or it is too early to judge; `idle`: no user is active; `not_allowed`: Spotify asked
 * for a pause or the budget is spent, which have their own events; `stopped`: none of these.
 */
export type PollingVerdict = 'polling' | 'idle' | 'not_allowed' | 'stopped'

/** Judges whether polling goes on. Users who are parked, or paused by an operator, do not count. */
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
  /** When an operator, or a success, made them active again; equals `createdAt` if that never happened. */
  activeSince: number
}

/** Since when a user has been unpolled; null while polling is not allowed, or if the user is not late. */
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

/** After a day, a user who listens has lost plays: this is a failure, not a warning. */
export function isUnpolledForDays({ forMs }: { forMs: number }): boolean {
  return forMs > dayMs
}
