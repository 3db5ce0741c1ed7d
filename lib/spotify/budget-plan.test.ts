import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  budgetWindowMs,
  fairInterval,
  pollingNeed,
  requestsPerPoll,
  safePollIntervalMs,
} from './budget-plan.ts'

const state = fc.record({
  activeUsers: fc.integer({ min: 1, max: 100_000 }),
  remainingMs: fc.integer({ min: 60_000, max: budgetWindowMs }),
  left: fc.integer({ min: 1, max: 10_000_000 }),
})

describe('fairInterval', () => {
  test('five users and 600 requests a day are a quarter of an hour', () => {
    const interval = fairInterval({ activeUsers: 5, remainingMs: budgetWindowMs, left: 600 })
    expect(interval / 60_000).toBeCloseTo(15, 0)
  })

  test('all users polled at it never spend more than what is left', () => {
    fc.assert(
      fc.property(state, (s) => {
        const interval = fairInterval(s)
        if (interval === s.remainingMs) return
        const spent = (s.activeUsers * s.remainingMs * requestsPerPoll(interval)) / interval
        expect(spent).toBeLessThanOrEqual(s.left * 1.001)
      }),
    )
  })

  test('nothing left means: not before the window ends', () => {
    expect(fairInterval({ activeUsers: 3, remainingMs: 1_234, left: 0 })).toBe(1_234)
  })

  test('grows with the users and shrinks with the budget', () => {
    fc.assert(
      fc.property(state, (s) => {
        expect(fairInterval({ ...s, activeUsers: s.activeUsers + 1 })).toBeGreaterThanOrEqual(fairInterval(s))
        expect(fairInterval({ ...s, left: s.left + 1 })).toBeLessThanOrEqual(fairInterval(s))
      }),
    )
  })
})

test('what polling needs for a day leaves enrichment the rest of 600', () => {
  expect(pollingNeed({ activeUsers: 5, remainingMs: budgetWindowMs })).toBeGreaterThan(5 * 72)
  expect(pollingNeed({ activeUsers: 5, remainingMs: budgetWindowMs })).toBeLessThan(600)
  expect(pollingNeed({ activeUsers: 5, remainingMs: 0 })).toBe(0)
})

test('the safe interval is shorter than fifty plays of the shortest kind', () => {
  expect(safePollIntervalMs).toBeLessThan(50 * 30_000)
})
