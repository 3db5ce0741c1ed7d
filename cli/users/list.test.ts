import stringWidth from 'string-width'
import { expect, test } from 'vitest'
import { consentDaysLeft } from '../../lib/spotify/consent.ts'
import type { UserRow } from '../../operations/users/report.ts'
import { toUserLines } from './list.ts'

const now = new Date('2026-11-24T08:00:00Z')
const ann: UserRow = {
  id: 7,
  spotifyId: 'ann',
  displayName: 'Ann',
  status: 'active',
  statusReason: null,
  statusChangedAt: now,
  authorizedAt: new Date('2026-11-23T08:00:00Z'),
  lastOkAt: new Date('2026-11-24T07:57:00Z'),
  nextPollAt: new Date('2026-11-24T08:05:00Z'),
  newestPlayedAt: null,
  consentDaysLeft: 179,
}

test('a user is one line, a parked one has its reason below', () => {
  const bo = {
    ...ann,
    id: 8,
    spotifyId: 'bo',
    displayName: null,
    status: 'needs_reauth',
    statusReason: 'invalid_grant',
  } as const
  expect(toUserLines([ann, { ...bo, nextPollAt: null }], { now, width: 80 })).toEqual([
    'ID  NAME  SPOTIFY ID  STATUS        CONSENT  LAST OK   NEXT  NEWEST',
    ' 7  Ann   ann         active           179d   3m ago  in 5m       -',
    ' 8  -     bo          needs_reauth     179d   3m ago      -       -',
    '',
    'user 8: needs_reauth since 2026-11-24 08:00:00 UTC: invalid_grant',
  ])
})

test('the widest users fit 80 columns', () => {
  const long = {
    ...ann,
    id: 123_456,
    displayName: '長い名前'.repeat(20),
    spotifyId: '31xyz'.repeat(6),
    status: 'needs_reauth',
    lastOkAt: new Date('2026-11-24T07:01:00Z'),
    newestPlayedAt: new Date('2025-11-24T07:57:00Z'),
  } as const
  const [title = '', row = ''] = toUserLines([long], { now, width: 80 })
  expect(stringWidth(title)).toBeLessThanOrEqual(80)
  expect(stringWidth(row)).toBeLessThanOrEqual(80)
})

test.each([
  ['2026-11-24T08:00:00Z', 180],
  ['2026-11-23T07:59:59Z', 178],
  ['2026-05-28T08:00:00Z', 0],
  ['2020-01-01T00:00:00Z', 0],
])('a consent of %s has %d whole days left', (authorizedAt, days) => {
  expect(consentDaysLeft(new Date(authorizedAt), now)).toBe(days)
})
