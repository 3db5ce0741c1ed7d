import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { budgetWindowMs, fairInterval } from '../../lib/spotify/budget-plan.ts'
import type { Fairness } from './plan.ts'
import { isBudgetShort, pageSize, planNext, planRetry, safeBound } from './plan.ts'

const now = Date.parse('2026-11-24T12:00:00.000Z')
const minute = 60_000
const bounds = { minIntervalMs: minute, maxIntervalMs: 20 * minute }
const plenty: Fairness = { activeUsers: 5, remainingMs: budgetWindowMs, left: 10_000_000 }
/** `count` plays, each `apart` after the one before it, the newest `idle` ago. */
const plays = (count: number, apart: number, idle: number) =>
  Array.from({ length: count }, (_, i) => now - idle - i * apart)
const plan = (playedAt: number[], more: Partial<Parameters<typeof planNext>[0]> = {}) =>
  planNext({
    bounds,
    fairness: plenty,
    playedAt,
    previousNewest: playedAt[1] ?? null,
    now,
    jitter: 0.5,
    ...more,
  })

const anyPage = fc
  .array(fc.integer({ min: 0, max: 30 * 24 * 3_600_000 }), { maxLength: pageSize })
  .map((ages) => ages.map((age) => now - age).sort((a, b) => b - a))
const anyBounds = fc
  .tuple(fc.integer({ min: 1_000, max: 600_000 }), fc.integer({ min: 0, max: 7_200_000 }))
  .map(([minIntervalMs, more]) => ({ minIntervalMs, maxIntervalMs: minIntervalMs + more }))
const anyFairness = fc.record({
  activeUsers: fc.integer({ min: 0, max: 100_000 }),
  remainingMs: fc.integer({ min: 0, max: budgetWindowMs }),
  left: fc.integer({ min: 0, max: 1_000_000 }),
})
const anyPoll = fc.record({
  bounds: anyBounds,
  fairness: anyFairness,
  playedAt: anyPage,
  previousNewest: fc.option(fc.integer({ min: 0, max: 30 * 24 * 3_600_000 }).map((age) => now - age)),
  now: fc.constant(now),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
})

describe('the next interval', () => {
  test('is never below the shortest', () => {
    fc.assert(
      fc.property(anyPoll, (poll) => {
        expect(planNext(poll)).toBeGreaterThanOrEqual(poll.bounds.minIntervalMs)
      }),
    )
  })

  test('is never beyond what is safe for the page, unless the budget forces all users to wait longer', () => {
    fc.assert(
      fc.property(anyPoll, (poll) => {
        const safe = Math.max(safeBound(poll.playedAt, poll.bounds), fairInterval(poll.fairness))
        expect(planNext(poll)).toBeLessThanOrEqual(safe)
      }),
    )
  })

  test('is never below the fair share: nobody eats up what the others need', () => {
    fc.assert(
      fc.property(anyPoll, (poll) => {
        expect(planNext(poll)).toBeGreaterThanOrEqual(fairInterval(poll.fairness))
      }),
    )
  })

  test('fifty plays cannot pass in it at the fastest pace of the page', () => {
    const wide = { minIntervalMs: 1_000, maxIntervalMs: 24 * 60 * minute }
    fc.assert(
      fc.property(fc.integer({ min: 40, max: 600_000 }), fc.integer({ min: 10, max: 50 }), (apart, count) => {
        const interval = plan(plays(count, apart, 10 * 24 * 60 * minute), { bounds: wide })
        expect(interval / apart).toBeLessThan(pageSize)
      }),
    )
  })

  test('is the shortest while somebody listens', () => {
    expect(plan(plays(50, 3 * minute, 2 * minute))).toBe(minute)
  })

  test('grows with the silence and ends at the longest', () => {
    const afterSilence = (idle: number) => plan(plays(50, 3 * minute, idle))
    expect(afterSilence(20 * minute)).toBe(5 * minute)
    expect(afterSilence(40 * minute)).toBe(10 * minute)
    expect(afterSilence(10 * 60 * minute)).toBe(20 * minute)
  })

  test('is the longest safe one for who has never played anything', () => {
    expect(plan([])).toBe(20 * minute)
    expect(plan([], { bounds: { minIntervalMs: minute, maxIntervalMs: 60 * minute } })).toBe(20 * minute)
  })

  test('is the shortest after a full page of nothing but new plays', () => {
    const page = plays(50, 3 * minute, 60 * minute)
    expect(plan(page, { previousNewest: now - 24 * 60 * minute })).toBe(minute)
    expect(plan(page, { previousNewest: page[10] ?? 0 })).toBeGreaterThan(minute)
  })

  test('is short for who skips fast, even after a silence', () => {
    const skipping = [...plays(10, 2_000, 60 * minute), ...plays(40, 4 * minute, 70 * minute)]
    expect(plan(skipping)).toBe(minute)
  })

  test('of the default budget for five listening users is a quarter of an hour', () => {
    const fairness = { activeUsers: 5, remainingMs: budgetWindowMs, left: 600 }
    expect(plan(plays(50, 3 * minute, minute), { fairness }) / minute).toBeCloseTo(15, 0)
  })

  test('waits for the next window when nothing is left', () => {
    const fairness = { activeUsers: 5, remainingMs: 3_600_000, left: 0 }
    expect(plan(plays(50, 3 * minute, minute), { fairness })).toBe(3_600_000)
  })
})

test('polling a whole day by the plan never spends more than the budget', () => {
  const day = fc.record({
    users: fc.integer({ min: 1, max: 40 }),
    idle: fc.array(fc.integer({ min: 0, max: 600 * minute }), { minLength: 1, maxLength: 20 }),
    requests: fc.integer({ min: 100, max: 3_000 }),
  })
  fc.assert(
    fc.property(day, ({ users, idle, requests }) => {
      const due = Array.from({ length: users }, () => 0)
      let spent = 0
      for (;;) {
        const time = Math.min(...due)
        if (time >= budgetWindowMs) break
        spent += 1
        const fairness = { activeUsers: users, remainingMs: budgetWindowMs - time, left: requests - spent }
        const playedAt = plays(50, 3 * minute, idle[spent % idle.length] ?? 0)
        due[due.indexOf(time)] = time + plan(playedAt, { fairness })
      }
      expect(spent).toBeLessThanOrEqual(Math.max(requests, users))
    }),
    { numRuns: 30 },
  )
})

describe('the next try after a failure', () => {
  const retry = (failures: number, othersFail = true) =>
    planRetry({ bounds, fairness: plenty, failures, othersFail, jitter: 0.5 })

  test('doubles up to the longest interval', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 99].map((n) => retry(n) / minute)).toEqual([1, 1, 1, 2, 4, 8, 16, 20, 20])
  })

  test('comes at once after a single one, before the fair share applies, unless others fail as well', () => {
    const short = { activeUsers: 100, remainingMs: budgetWindowMs, left: 600 }
    const once = { bounds, fairness: short, jitter: 0.5 }
    expect(planRetry({ ...once, failures: 1, othersFail: false })).toBe(1_000)
    expect(planRetry({ ...once, failures: 1, othersFail: true })).toBeGreaterThan(4 * 60 * minute)
    expect(planRetry({ ...once, failures: 2, othersFail: false })).toBeGreaterThan(4 * 60 * minute)
  })

  test('stays within the bounds and the fair share', () => {
    fc.assert(
      fc.property(anyPoll, fc.integer({ min: 1, max: 1_000 }), (poll, failures) => {
        const interval = planRetry({ ...poll, failures, othersFail: true })
        expect(interval).toBeGreaterThanOrEqual(poll.bounds.minIntervalMs)
        expect(interval).toBeLessThanOrEqual(Math.max(poll.bounds.maxIntervalMs, fairInterval(poll.fairness)))
      }),
    )
  })
})

test('a few requests left as the window ends are no short budget', () => {
  expect(
    isBudgetShort({ activeUsers: 5, remainingMs: 20 * minute, left: 1 }, { bounds, wasShort: false }),
  ).toBeNull()
})

test('a budget is short when its share is well beyond the longest interval, and stays so until it is well below', () => {
  const sizes = [0, 1, 4, 5, 6, 7, 50]
  const short = (wasShort: boolean) =>
    sizes.filter((activeUsers) =>
      isBudgetShort({ activeUsers, remainingMs: budgetWindowMs, left: 600 }, { bounds, wasShort }),
    )
  expect(short(false)).toEqual([50])
  expect(short(true)).toEqual([6, 7, 50])
})
