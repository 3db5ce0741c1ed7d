import { describe, expect, test } from 'vitest'
import type { Allowance, Allowed, PollingFacts, UserFacts } from './judge.ts'
import { filledAt, isUnpolledForDays, judgePolling, longestPlan, toAllowed, unpolledSince } from './judge.ts'

const minute = 60_000
const hour = 60 * minute
const now = Date.parse('2026-12-01T12:00:00Z')
const ago = (ms: number) => now - ms
const rules = { stoppedMs: 45 * minute, unpolledMs: 2 * hour }

const free: Allowance = {
  dailyRequests: 600,
  used: 100,
  windowStartedAt: ago(6 * hour),
  windowMs: 24 * hour,
  pausedFrom: null,
  pausedUntil: null,
  strikes: 0,
}

describe('polling is allowed', () => {
  test.each<[string, Partial<Allowance>, number | null]>([
    ['for long, within a budget and without a pause', {}, 0],
    ['not during a pause', { pausedUntil: now + hour }, null],
    ['since the end of a pause of unknown length', { pausedUntil: ago(hour) }, ago(hour)],
    ['not once the budget is spent', { used: 600 }, null],
    [
      'again when the window of a spent budget is over',
      { used: 600, windowStartedAt: ago(30 * hour) },
      ago(6 * hour),
    ],
    ['when more is used than the budget is known to have: the pollers know a larger one', { used: 601 }, 0],
    ['for long, when a window is over of which something was left', { windowStartedAt: ago(30 * hour) }, 0],
    ['before the first request', { used: 0, windowStartedAt: null }, 0],
    [
      'though pauses recur for seconds, with nothing achieved between',
      { pausedUntil: now + minute, strikes: 3 },
      0,
    ],
    ['not during a long pause, though it recurs', { pausedUntil: now + 9 * hour, strikes: 3 }, null],
  ])('%s', (_, more, since) => {
    expect(toAllowed({ ...free, ...more }, now, rules)).toEqual({ allowedSince: since, paused: null })
  })

  test('as long as before a pause whose beginning is known: only the pause itself is left out', () => {
    const over = { ...free, pausedFrom: ago(2 * hour), pausedUntil: ago(hour) }
    expect(toAllowed(over, now, rules)).toEqual({
      allowedSince: 0,
      paused: { from: ago(2 * hour), until: ago(hour) },
    })
  })
})

const second = { paused: { from: ago(minute), until: ago(minute - 1_000) } }

const going: PollingFacts = {
  now,
  activeUsers: 2,
  lastOkAt: ago(hour),
  dueSince: ago(50 * minute),
  allowedSince: 0,
  paused: null,
}

describe('polling', () => {
  test.each<[string, Partial<PollingFacts>, string]>([
    ['has stopped when somebody was due and allowed for long, and nobody was polled', {}, 'stopped'],
    ['has stopped though nobody ever was polled', { lastOkAt: null }, 'stopped'],
    ['goes on when somebody was polled', { lastOkAt: ago(44 * minute) }, 'polling'],
    ['goes on when nobody is due for long', { dueSince: ago(44 * minute) }, 'polling'],
    ['goes on when nobody is due', { dueSince: null }, 'polling'],
    ['goes on when it was not allowed until a moment ago', { allowedSince: ago(minute) }, 'polling'],
    ['has stopped though there was a pause of a second a moment ago', second, 'stopped'],
    [
      'goes on when a pause took up most of the silence',
      { paused: { from: ago(49 * minute), until: ago(minute) } },
      'polling',
    ],
    ['is not allowed', { allowedSince: null }, 'not_allowed'],
    ['is idle when nobody is active', { activeUsers: 0 }, 'idle'],
    ['is idle when nobody is active, paused or not', { activeUsers: 0, allowedSince: null }, 'idle'],
  ])('%s', (_, more, verdict) => {
    expect(judgePolling({ ...going, ...more }, rules)).toBe(verdict)
  })
})

const created = ago(100 * hour)
const user: UserFacts = { lastOkAt: ago(3 * hour), createdAt: created, activeSince: created }
const moment = { now, allowedSince: 0, paused: null, planMs: 20 * minute }

describe('a user is unpolled', () => {
  test.each<[string, Partial<UserFacts>, Partial<Allowed & { planMs: number }>, number | null]>([
    ['two hours beyond what the plan says', {}, {}, ago(3 * hour)],
    ['not yet within two hours of it', { lastOkAt: ago(2 * hour) }, {}, null],
    ['not when a short budget makes the plan long', {}, { planMs: 2 * hour }, null],
    ['since they were created, when never polled', { lastOkAt: null }, {}, created],
    ['not when just made active again', { activeSince: ago(minute) }, {}, null],
    ['though there was a pause of a second a moment ago', {}, second, ago(3 * hour - 1_000)],
    ['not when polling is not allowed', {}, { allowedSince: null }, null],
    ['not when polling was not allowed until a moment ago', {}, { allowedSince: ago(minute) }, null],
  ])('%s', (_, more, when, since) => {
    expect(unpolledSince({ ...user, ...more }, { ...moment, ...when }, rules)).toBe(since)
  })

  test('for days after a day', () => {
    expect([23, 25].map((h) => isUnpolledForDays({ forMs: h * hour }))).toEqual([false, true])
  })
})

test('a plan is as long as the budget makes it, and never below what is safe', () => {
  const at = { activeUsers: 5, now, maxIntervalMs: 20 * minute }
  expect(longestPlan(free, at)).toBe(20 * minute)
  expect(longestPlan({ ...free, used: 590 }, at)).toBeGreaterThan(5 * hour)
  expect(longestPlan({ ...free, used: 600, windowStartedAt: ago(30 * hour) }, at)).toBe(20 * minute)
})

test('a plan is as long as the longest interval that the poller is given', () => {
  expect(longestPlan(free, { activeUsers: 5, now, maxIntervalMs: 3 * hour })).toBe(3 * hour)
})

test('a plan that was made for the last requests of a window ends with it', () => {
  expect(filledAt(free, now)).toBe(ago(6 * hour))
  expect(filledAt({ ...free, windowStartedAt: ago(30 * hour) }, now)).toBe(ago(6 * hour))
  expect(filledAt({ ...free, windowStartedAt: null }, now)).toBe(0)
})
