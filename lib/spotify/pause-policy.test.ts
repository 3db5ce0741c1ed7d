import { expect, test } from 'vitest'
import type { Outcome, RequestLane } from './outcome.ts'
import { toPause } from './pause-policy.ts'

const limited = (retryAfterMs: number | null): Outcome => ({ type: 'rate_limited', retryAfterMs })
const quota = (retryAfterMs: number | null): Outcome => ({ type: 'quota_exceeded', retryAfterMs })

test.each<[string, RequestLane, Outcome, readonly RequestLane[] | null, number | null]>([
  ['a success pauses nothing', 'polling', { type: 'ok', json: {} }, null, null],
  ['an outage pauses nothing by itself', 'polling', { type: 'server_error', message: '' }, null, null],
  ['a dead token pauses nothing', 'accounts', { type: 'invalid_grant', message: '' }, null, null],
  ['a spent quota stops its own lane', 'polling', quota(49_861_000), ['polling'], 49_861_000],
  [
    'a spent quota of metadata leaves polling alone',
    'enrichment',
    quota(49_861_000),
    ['enrichment'],
    49_861_000,
  ],
  ['the rate limit stops the app', 'enrichment', limited(5_000), ['polling', 'enrichment'], 5_000],
  [
    'a long penalty of polling stops the app',
    'polling',
    limited(80_000_000),
    ['polling', 'enrichment'],
    80_000_000,
  ],
  [
    'a long penalty of enrichment leaves polling alone',
    'enrichment',
    limited(80_000_000),
    ['enrichment'],
    80_000_000,
  ],
  [
    'a limit without Retry-After stops the app for a moment',
    'polling',
    limited(null),
    ['polling', 'enrichment'],
    2_000,
  ],
  ['the token endpoint has a limit of its own', 'accounts', limited(3_000), ['accounts'], 3_000],
  [
    'a lapsed Premium stops the app',
    'polling',
    { type: 'premium_lapsed', message: '' },
    ['polling', 'enrichment'],
    600_000,
  ],
  [
    'wrong credentials stop asking for tokens',
    'accounts',
    { type: 'invalid_client', message: '' },
    ['accounts'],
    60_000,
  ],
])('%s', (_name, lane, outcome, lanes, ms) => {
  const pause = toPause(lane, outcome)
  expect(pause?.lanes ?? null).toEqual(lanes)
  expect(pause?.ms ?? null).toBe(ms)
})

test('only what Spotify did not date grows with each pause in a row', () => {
  expect(toPause('polling', limited(5_000))?.maxMs).toBeNull()
  expect(toPause('polling', limited(null))?.maxMs).toBe(600_000)
})
