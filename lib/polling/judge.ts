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
  pausedUntil: number | null
  /** Pauses in a row without a success between. */
  strikes: number
}

/** Pauses in a row that are no excuse any more: nothing was achieved between them. */
const recurringStrikes = 3

/**
 * Since when polling has been allowed, or null while it is not: Spotify asked for a pause, or the budget is spent.
 * 0: for longer than anybody remembers.
 */
export function allowedSince(of: Allowance, now: number, { stoppedMs }: PollingRules): number | null {
  const windowEnd = (of.windowStartedAt ?? Number.NEGATIVE_INFINITY) + of.windowMs
  // More than all of it is used by pollers that were given more: then the figure here says nothing.
  const spent = of.used === of.dailyRequests
  if (spent && now < windowEnd) return null
  const refilledAt = spent ? windowEnd : 0
  const pausedUntil = of.pausedUntil ?? 0
  const recurs = of.strikes >= recurringStrikes && pausedUntil - now < stoppedMs
  if (pausedUntil > now && !recurs) return null
  return Math.max(0, refilledAt, recurs ? 0 : pausedUntil)
}

/** The longest that a plan may make anybody wait now: every poller sees to that. */
export function longestPlan(
  of: Allowance,
  { activeUsers, now }: { activeUsers: number; now: number },
): number {
  const windowEnd = (of.windowStartedAt ?? Number.NEGATIVE_INFINITY) + of.windowMs
  const running = now < windowEnd
  return Math.max(
    safePollIntervalMs,
    fairInterval({
      activeUsers,
      remainingMs: running ? windowEnd - now : of.windowMs,
      left: Math.max(0, of.dailyRequests - (running ? of.used : 0)),
    }),
  )
}

/** All users at one moment of the database's clock; times are Unix times in milliseconds. */
export interface PollingFacts {
  now: number
  activeUsers: number
  /** When anybody was polled with success last, or null if nobody ever was. */
  lastOkAt: number | null
  /** Since when an active user should have been polled, by their plan; null if nobody is. */
  dueSince: number | null
  /** By {@link allowedSince}. */
  allowedSince: number | null
}

/**
 * `polling`: somebody was polled, or it is too early to say; `idle`: nobody is active; `not_allowed`: a pause of
 * Spotify's or a spent budget, which are reported by events of their own; `stopped`: none of these.
 */
export type PollingVerdict = 'polling' | 'idle' | 'not_allowed' | 'stopped'

/** Whether polling goes on. Who is paused by an operator or parked is not waited for. */
export function judgePolling(facts: PollingFacts, { stoppedMs }: PollingRules): PollingVerdict {
  if (facts.activeUsers === 0) return 'idle'
  if (facts.allowedSince === null) return 'not_allowed'
  if (facts.dueSince === null) return 'polling'
  const silentSince = Math.max(facts.lastOkAt ?? 0, facts.dueSince, facts.allowedSince)
  return facts.now - silentSince >= stoppedMs ? 'stopped' : 'polling'
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
  moment: Pick<PollingFacts, 'now' | 'allowedSince'> & { planMs: number },
  { unpolledMs }: PollingRules,
): number | null {
  if (moment.allowedSince === null) return null
  const activeAgain = user.activeSince > user.createdAt ? user.activeSince : 0
  const since = Math.max(user.lastOkAt ?? user.createdAt, activeAgain, moment.allowedSince)
  return moment.now - since > moment.planMs + unpolledMs ? since : null
}

const dayMs = 24 * 3_600_000

/** Somebody who listens has lost plays by then: that is a failure, no warning any more. */
export function isUnpolledForDays({ forMs }: { forMs: number }): boolean {
  return forMs > dayMs
}
