import type { Notice } from '../../lib/events.ts'

/** A gap that opened or closed without an event yet. */
export interface GapNews {
  id: number
  userId: string
  after: Date
  before: Date
  closed: boolean
  /** Whether the user has open gaps that alert operators, this one included. */
  othersOpen: boolean
}

/** The event about a gap. The last gap of a user to close resolves what the first one raised. */
export function toGapNotice({ userId, after, before, closed, othersOpen }: GapNews): Notice {
  const [from, to] = [after.toISOString(), before.toISOString()]
  return {
    type: 'gap_detected',
    subject: `user:${userId}`,
    severity: 'warning',
    state: closed && !othersOpen ? 'resolved' : 'raised',
    message: closed
      ? `The gap of user ${userId} between ${from} and ${to} is closed: pages show what was played.`
      : `Plays of user ${userId} between ${from} and ${to} may be lost: no page shows what lies between. An import of the listening history can fill the gap.`,
    details: { after: from, before: to },
  }
}
