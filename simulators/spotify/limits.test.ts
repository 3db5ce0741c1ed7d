import { expect, test } from 'vitest'
import { createLimits } from './limits.ts'

const day = 86_400_000
const none = Number.POSITIVE_INFINITY

test('the quota ends a day after its first request, not at midnight', () => {
  const limits = createLimits({ requestsPer30Seconds: none, dailyRequests: 2, quotaWindowMs: day })
  const start = Date.UTC(2026, 10, 24, 23)
  expect(limits.take('a', start).type).toBe('allowed')
  expect(limits.take('a', start + 1_000).type).toBe('allowed')
  expect(limits.take('a', start + 3_600_000)).toEqual({
    type: 'quota-exceeded',
    retryAfterSeconds: 23 * 3_600,
  })
  expect(limits.take('b', start + 3_600_000).type).toBe('allowed')
  expect(limits.take('a', start + day).type).toBe('allowed')
})

test('the rate limit forgets requests after 30 s', () => {
  const limits = createLimits({ requestsPer30Seconds: 3, dailyRequests: none, quotaWindowMs: day })
  for (const ms of [0, 10_000, 20_000]) expect(limits.take('a', ms).type).toBe('allowed')
  expect(limits.take('a', 25_000)).toEqual({ type: 'rate-limited', retryAfterSeconds: 5 })
  expect(limits.take('a', 30_000).type).toBe('allowed')
  expect(limits.take('a', 31_000)).toEqual({ type: 'rate-limited', retryAfterSeconds: 9 })
})

test('a client that waits as long as it was told is served', () => {
  const limits = createLimits({ requestsPer30Seconds: 5, dailyRequests: none, quotaWindowMs: day })
  let now = 500
  for (let request = 0; request < 100; request += 1) {
    const verdict = limits.take('a', now)
    if (verdict.type === 'allowed') continue
    now += verdict.retryAfterSeconds * 1_000
    expect(limits.take('a', now).type).toBe('allowed')
  }
})
