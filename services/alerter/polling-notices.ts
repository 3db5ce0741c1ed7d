import type { Notice } from '../../lib/events.ts'
import type { AlarmsOver, PollingStanding, UnpolledUser } from '../../lib/polling/read.ts'

/** The events to raise and to resolve. The open incidents ensure that each is published once. */
export interface PollingNotices {
  raised: Notice[]
  resolved: Omit<Notice, 'severity' | 'state'>[]
}

/** The most users raised in one sample. */
const raisedMax = 50

/**
 * The events that follow from a standing. While polling is not allowed nothing changes: a pause neither begins nor
 * ends an alarm. While polling has stopped for all users, single users are not reported.
 *
 * @param options.openUsers subjects of the users who are reported as unpolled
 */
export function toPollingNotices(
  standing: PollingStanding,
  { openUsers, over }: { openUsers: readonly string[]; over: AlarmsOver },
): PollingNotices {
  const { verdict, unpolled } = standing
  if (verdict === 'not_allowed') return { raised: [], resolved: [] }
  if (verdict === 'stopped') return { raised: [stopped(standing)], resolved: [] }
  const known = new Set(openUsers)
  return {
    raised: unpolled
      .filter((u) => !known.has(subjectOf(u.userId)))
      .slice(0, raisedMax)
      .map(userUnpolled),
    resolved: [
      ...(over.isPolling || verdict === 'idle' ? [goesOn(verdict)] : []),
      ...over.users.map(userPolled),
    ],
  }
}

const app = 'app'
const subjectOf = (userId: number) => `user:${userId}`
const toMinutes = (ms: number) => Math.round(ms / 60_000)

function stopped({ now, lastOkAt, dueSince, activeUsers }: PollingStanding): Notice {
  const since = Math.max(lastOkAt ?? 0, dueSince ?? 0)
  return {
    type: 'polling_stopped',
    subject: app,
    severity: 'critical',
    message: `Nobody has been polled for ${toMinutes(now - since)} minutes, though users are due: plays are lost after 50 more of anybody. Is a poller running, and what does its log say? See songswap doctor.`,
    details: {
      activeUsers: String(activeUsers),
      lastPolledAt: lastOkAt === null ? 'never' : new Date(lastOkAt).toISOString(),
    },
  }
}

function goesOn(verdict: PollingStanding['verdict']): Omit<Notice, 'severity' | 'state'> {
  const message =
    verdict === 'idle' ? 'No user is active: nobody is to be polled.' : 'Users are polled again.'
  return { type: 'polling_stopped', subject: app, message }
}

function userUnpolled({ userId, name, lastOkAt, forMs, lastError }: UnpolledUser): Notice {
  return {
    type: 'user_unpolled',
    subject: subjectOf(userId),
    severity: 'warning',
    message: `User ${userId} (${name}) has not been polled for ${toMinutes(forMs)} minutes: ${lastError ?? 'no failure is known'}. Their plays are lost after 50 more. See songswap doctor --only users.`,
    details: {
      lastPolledAt: lastOkAt?.toISOString() ?? 'never',
      ...(lastError !== null && { lastError }),
    },
  }
}

function userPolled(subject: string): Omit<Notice, 'severity' | 'state'> {
  return { type: 'user_unpolled', subject, message: `${subject} is polled again, or is not to be polled.` }
}

/** Reports that Postgres cannot be read, so that a stop of polling would not be noticed. */
export function toBlindNotice(blindForMs: number, reason: string): Notice {
  return {
    type: 'polling_unknown',
    subject: app,
    severity: 'warning',
    message: `For ${toMinutes(blindForMs)} minutes it has not been known whether anybody is polled, because Postgres cannot be read: ${reason}.`,
  }
}

export const seeingNotice: Notice = {
  type: 'polling_unknown',
  subject: app,
  severity: 'info',
  state: 'resolved',
  message: 'Whether users are polled is known again.',
}
