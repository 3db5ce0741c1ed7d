import { expect, test } from 'vitest'
import { toProfile } from './profile.ts'

test.each([
  [
    { id: 'a', display_name: 'Ann' },
    { spotifyId: 'a', displayName: 'Ann' },
  ],
  [
    { id: 'a', display_name: null },
    { spotifyId: 'a', displayName: null },
  ],
  [{ id: 'a' }, { spotifyId: 'a', displayName: null }],
  [
    { id: 'a', account_id: 'b' },
    { spotifyId: 'a', accountId: 'b', displayName: null },
  ],
  [
    { id: 'a', display_name: 'x\0y\ud800' },
    { spotifyId: 'a', displayName: 'x\u{fffd}y\u{fffd}' },
  ],
])('%o is a profile', (json, profile) => {
  expect(toProfile({ type: 'ok', json })).toEqual({ accountId: null, ...profile })
})

test.each([[null], [[]], [{}], [{ id: null }], [{ id: '' }], ['text']])('%o names nobody', (json) => {
  expect(() => toProfile({ type: 'ok', json })).toThrow('names no user')
})

test('a refusal is told with what to do', () => {
  const refusal = { type: 'user_not_listed', message: 'User not registered' } as const
  expect(() => toProfile(refusal)).toThrow(
    expect.objectContaining({ hint: expect.stringContaining('Dashboard') }),
  )
})
