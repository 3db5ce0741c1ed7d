import { expect, test } from 'vitest'
import type { PollingTraces } from './read-traces.ts'
import { toPollerStatus } from './services.ts'

const now = new Date('2026-11-24T08:00:00Z')
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000)
const quiet: PollingTraces = { sessions: 0, leases: 0, lastPollAt: null, overdue: 0, overdueSince: null }

test.each<[string, Partial<PollingTraces>, string]>([
  ['a session', { sessions: 2 }, 'alive'],
  ['a lease', { leases: 1 }, 'alive'],
  ['a poll within the minute', { lastPollAt: ago(30) }, 'alive'],
  ['users waiting, and nothing else', { overdue: 2, overdueSince: ago(600), lastPollAt: ago(900) }, 'down'],
  ['nobody due', { lastPollAt: ago(900) }, 'unknown'],
  ['nothing at all', {}, 'unknown'],
])('what %s shows', (_what, traces, state) => {
  expect(toPollerStatus({ ...quiet, ...traces }, { verdict: 'polling' }, now).state).toBe(state)
})

test('a poller that lives and is late says so, unless it is paused', () => {
  const late = { ...quiet, sessions: 1, overdue: 2, overdueSince: ago(600) }
  expect(toPollerStatus(late, { verdict: 'polling' }, now).detail).toContain('2 users overdue, first 10m ago')
  expect(toPollerStatus(late, { verdict: 'not_allowed' }, now).detail).not.toContain('overdue')
})

test('a poller that has nothing to do for a pause is not down', () => {
  const late = { ...quiet, overdue: 2, overdueSince: ago(600) }
  expect(toPollerStatus(late, { verdict: 'not_allowed' }, now).state).toBe('unknown')
})
