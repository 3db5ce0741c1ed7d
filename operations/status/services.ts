import type { PollingStanding } from '../../lib/polling/read.ts'
import { toPlural, toRelative } from '../../lib/words.ts'
import type { PollingTraces } from './read-traces.ts'
import type { GroupStatus, ServiceStatus } from './report.ts'

/** A service is alive when each of its groups has a member. */
export function toConsumerStatus(
  name: string,
  names: readonly string[],
  groups: readonly GroupStatus[] | null,
): ServiceStatus {
  if (!groups) return { name, state: 'unknown', detail: 'its consumer group cannot be read' }
  const members = names.map((group) => groups.find((g) => g.group === group)?.members ?? 0)
  const detail = names.map((group, i) => `${toPlural(members[i] ?? 0, 'member')} in ${group}`).join(', ')
  return { name, state: members.every((n) => n > 0) ? 'alive' : 'down', detail }
}

const recentMs = 60_000

/**
 * The poller has no consumer group. It is alive if it has a session in Postgres, a lease, or a poll within the last
 * minute. It is down if it has none of these while polls are overdue and polling is allowed. Else it is unknown.
 *
 * @param polling null if it cannot be read
 */
export function toPollerStatus(
  traces: PollingTraces | null,
  polling: Pick<PollingStanding, 'verdict'> | null,
  now: Date,
): ServiceStatus {
  const name = 'poller'
  if (!traces) return { name, state: 'unknown', detail: 'its traces in Postgres cannot be read' }
  const { sessions, leases, lastPollAt, overdue, overdueSince } = traces
  const isPaused = polling?.verdict === 'not_allowed'
  const last = lastPollAt ? `last poll ${toRelative(lastPollAt, now)}` : 'no poll yet'
  const late =
    overdue > 0 ? `, ${toPlural(overdue, 'user')} overdue, first ${toRelative(overdueSince, now)}` : ''
  const recent = lastPollAt !== null && now.getTime() - lastPollAt.getTime() < recentMs
  if (sessions > 0 || leases > 0 || recent) {
    const busy = sessions > 0 ? toPlural(sessions, 'session') : toPlural(leases, 'lease')
    return { name, state: 'alive', detail: `${busy}, ${last}${isPaused ? ', paused' : late}` }
  }
  if (isPaused) return { name, state: 'unknown', detail: `no session, ${last}, paused` }
  if (overdue > 0) return { name, state: 'down', detail: `no session, ${last}${late}` }
  return { name, state: 'unknown', detail: `no session, ${last}; nobody is due, so nothing tells` }
}
