import { expect, test } from 'vitest'
import type { UserState } from './user-trouble.ts'
import { toTrouble } from './user-trouble.ts'

const now = new Date('2026-11-24T08:00:00Z')
const ago = (days: number) => new Date(now.getTime() - days * 86_400_000)

const well: UserState = {
  id: 7,
  spotifyId: 'seven',
  displayName: null,
  status: 'active',
  statusReason: null,
  authorizedAt: ago(10),
  lastOkAt: ago(0.01),
  failures: 0,
  lastError: null,
  scope: 'user-read-recently-played',
  otherApp: null,
  openGaps: 0,
}

test.each<[string, Partial<UserState>]>([
  ['a user who is polled', {}],
  ['one whose scope Spotify never told', { scope: '' }],
  ['one who was just connected', { lastOkAt: null, authorizedAt: ago(0.01) }],
  ['a few failures', { failures: 4, lastError: 'timeout' }],
  ['one whom the operator paused', { status: 'paused', lastOkAt: ago(90), authorizedAt: ago(200) }],
])('no trouble: %s', (_title, more) => {
  expect(toTrouble({ ...well, ...more }, now)).toBeNull()
})

test.each<[Partial<UserState>, string[]]>([
  [{ status: 'needs_reauth', statusReason: 'invalid_grant' }, ['token is dead: invalid_grant']],
  [{ status: 'forbidden' }, ["not on the app's list"]],
  [{ scope: null }, ['no tokens']],
  [{ scope: 'user-read-email' }, ['scope lacks user-read-recently-played']],
  [{ otherApp: 'the-old-app' }, ['tokens of another app']],
  [{ authorizedAt: ago(175) }, ['consent ends in 5d']],
  [{ authorizedAt: ago(200) }, ['consent has ended']],
  [{ authorizedAt: null }, ['consent of unknown age: it may end any day']],
  [{ lastOkAt: ago(1) }, ['no poll has worked for 1d']],
  [{ lastOkAt: null }, ['no poll has worked for 10d']],
  [{ failures: 9, lastError: 'server_error' }, ['9 polls failed in a row: server_error']],
  [{ openGaps: 2, status: 'paused' }, ['2 open gaps']],
  [{ openGaps: 1 }, ['1 open gap']],
])('%j: %j', (more, troubles) => {
  expect(toTrouble({ ...well, ...more }, now)?.troubles).toEqual(troubles)
})
