import { expect, test } from 'vitest'
import { isSkewed, toPageTime } from './clock.ts'

const now = Date.parse('2026-11-23T08:00:00Z')
const minute = 60_000
const weeks = 14 * 24 * 60 * minute

test.each([
  ['no Date', null, false],
  ['a Date some minutes off', now - 4 * minute, false],
  ['a Date that is older by six minutes', now - 6 * minute, true],
  ['a Date that is newer by weeks', now + weeks, true],
])('with %s the clocks are apart: %s, %s', (_what, spotify, apart) => {
  expect(isSkewed(now, spotify)).toBe(apart)
})

test.each([
  ['ours alone is behind', { ours: now - weeks, spotify: now, postgres: now + minute }, now, true],
  ['ours alone is ahead', { ours: now + weeks, spotify: now, postgres: now }, now, true],
  ['Postgres goes with ours', { ours: now - weeks, spotify: now, postgres: now - weeks }, now - weeks, false],
  ['an answer from a cache', { ours: now, spotify: now - weeks, postgres: now }, now, false],
  ['all three differ', { ours: now, spotify: now - weeks, postgres: now + weeks }, now, false],
])('%s: a page bears the time of two that go together', (_what, clocks, fetchedAt, isCorrected) => {
  const aheadMs = clocks.ours - clocks.spotify
  expect(toPageTime(clocks)).toEqual({ fetchedAt, aheadMs, isCorrected })
})
