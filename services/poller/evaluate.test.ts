import { describe, expect, test } from 'vitest'
import type { OutcomeType } from '../../lib/spotify/outcome.ts'
import { outcomeTypes } from '../../lib/spotify/outcome.ts'
import type { RecentPoll, Verdict } from './evaluate.ts'
import { addRecent, evaluateDeadToken, evaluateRecent, toProbeDelay, toVerdict } from './evaluate.ts'

test('only four answers say anything about a user; no other parks anybody', () => {
  const verdicts: Partial<Record<OutcomeType, Verdict>> = {
    invalid_grant: 'dead_token',
    missing_scope: 'missing_scope',
    user_not_listed: 'not_listed',
    premium_lapsed: 'app',
    quota_exceeded: 'app',
    rate_limited: 'app',
    invalid_client: 'app',
  }
  for (const type of Object.keys(outcomeTypes) as OutcomeType[]) {
    const outcome =
      type === 'ok'
        ? { type, json: {} }
        : type === 'quota_exceeded' || type === 'rate_limited'
          ? { type, retryAfterMs: null }
          : { type, message: '' }
    expect([type, toVerdict(outcome)]).toEqual([type, verdicts[type] ?? 'retry'])
  }
})

describe('a refused refresh token', () => {
  test.each([
    ['one user alone', [{ failing: 1, renewed: 0 }], 'user'],
    ['two of two', [{ failing: 2, renewed: 0 }], 'user'],
    ['three of three', [{ failing: 3, renewed: 0 }], 'outage'],
    ['three of five', [{ failing: 3, renewed: 2 }], 'outage'],
    ['three of ten', [{ failing: 3, renewed: 7 }], 'user'],
    ['four of ten', [{ failing: 4, renewed: 6 }], 'outage'],
    ['three of a hundred', [{ failing: 3, renewed: 97 }], 'user'],
    [
      'nearly all of the last minutes, few of the hour',
      [
        { failing: 4, renewed: 1 },
        { failing: 4, renewed: 96 },
      ],
      'outage',
    ],
  ] as const)('%s', (_name, counts, verdict) => {
    expect(evaluateDeadToken(counts, 60_000)).toBe(verdict)
  })

  test('is believed after a day, however many others there are', () => {
    expect(evaluateDeadToken([{ failing: 90, renewed: 10 }], 24 * 3_600_000)).toBe('user')
  })
})

describe('the latest polls', () => {
  const polls = (...results: RecentPoll['result'][]) =>
    results.reduce<RecentPoll[]>(
      (recent, result, userId) => addRecent(recent, { userId, at: userId, result }),
      [],
    )

  test.each<[RecentPoll['result'][], 'working' | 'failing']>([
    [[], 'working'],
    [['outage', 'outage'], 'working'],
    [['outage', 'outage', 'outage'], 'failing'],
    [['outage', 'gated', 'outage', 'ok'], 'failing'],
    [['outage', 'outage', 'outage', 'ok', 'ok', 'ok'], 'working'],
  ])('%j: %s', (results, verdict) => {
    expect(evaluateRecent(polls(...results), 0)).toBe(verdict)
  })

  test('one user who fails again and again is no outage', () => {
    let recent: RecentPoll[] = []
    for (let at = 0; at < 50; at++) recent = addRecent(recent, { userId: 1, at, result: 'outage' })
    expect(evaluateRecent(recent, 0)).toBe('working')
    expect(recent).toHaveLength(1)
  })

  test('quick failures are no outage while as many polls are under way', () => {
    const quick = polls('outage', 'outage', 'outage')
    expect(evaluateRecent(quick, 3)).toBe('working')
    expect(evaluateRecent(quick, 2)).toBe('failing')
  })

  test('what is older than ten minutes counts no more, and memory is bounded', () => {
    const old = polls('outage', 'outage', 'outage')
    expect(addRecent(old, { userId: 9, at: 700_000, result: 'outage' })).toHaveLength(1)
    expect(polls(...Array.from({ length: 1_000 }, () => 'ok' as const))).toHaveLength(200)
  })
})

test('a parked user is tried after an hour, then once a day', () => {
  expect(toProbeDelay({ justParked: true })).toBe(3_600_000)
  expect(toProbeDelay({ justParked: false })).toBe(24 * 3_600_000)
})
