import { expect, test } from 'vitest'
import { toCount, toPlural, toRelative, toSpan, toUtc } from './words.ts'

test.each([
  [0, '0s'],
  [999, '0s'],
  [59_999, '59s'],
  [60_000, '1m'],
  [7_199_999, '1h'],
  [90_000_000, '1d'],
])('a span of %d ms is %s', (ms, span) => {
  expect(toSpan(ms)).toBe(span)
})

test('moments are told from now, before and after it', () => {
  const now = new Date('2026-11-24T08:00:00Z')
  expect(toRelative(new Date('2026-11-24T07:57:00Z'), now)).toBe('3m ago')
  expect(toRelative(new Date('2026-11-24T10:00:00Z'), now)).toBe('in 2h')
  expect(toRelative(null, now)).toBe('-')
  expect(toUtc(now)).toBe('2026-11-24 08:00:00 UTC')
})

test('counts have their thousands apart and nouns their number', () => {
  expect(toCount(1_234_567)).toBe('1,234,567')
  expect([toPlural(1, 'user'), toPlural(0, 'user'), toPlural(1200, 'user')]).toEqual([
    '1 user',
    '0 users',
    '1,200 users',
  ])
})
