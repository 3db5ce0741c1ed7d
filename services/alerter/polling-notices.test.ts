import { expect, test } from 'vitest'
import type { PollingStanding } from '../../lib/polling/read.ts'
import { toPollingNotices } from './polling-notices.ts'

const standing: PollingStanding = {
  ...{ now: 1_000_000, activeUsers: 2, lastOkAt: 1, dueSince: 2, allowedSince: 0, paused: null },
  ...{ verdict: 'polling', unpolled: [] },
}
const openUsers = ['user:1', 'user:2']
const resolvedBy = (over: { isPolling: boolean; users: string[] }, more: Partial<PollingStanding> = {}) =>
  toPollingNotices({ ...standing, ...more }, { openUsers, over }).resolved.map(
    (n) => `${n.type} ${n.subject}`,
  )

test('an alarm ends with a success since it was raised, not when its time begins again after a pause', () => {
  expect(resolvedBy({ isPolling: false, users: [] })).toEqual([])
  expect(resolvedBy({ isPolling: true, users: ['user:2'] })).toEqual([
    'polling_stopped app',
    'user_unpolled user:2',
  ])
})

test('that polling has stopped is over when nobody is active any more', () => {
  expect(resolvedBy({ isPolling: false, users: [] }, { verdict: 'idle' })).toEqual(['polling_stopped app'])
})
