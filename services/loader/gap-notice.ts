import type { Notice } from '../../lib/events.ts'

/** Something about a gap of which no event says so yet. */
export interface GapNews {
  id: number
  userId: string
  after: Date
  before: Date
  closed: boolean
  /** Whether the user has open gaps that operators hear of, this one included. */
  othersOpen: boolean
}

/** Words a gap; the last one of a user that closes resolves what the first one raised. */
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
