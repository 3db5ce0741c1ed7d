import { describe, expect, test } from 'vitest'
import { evaluateBlame, isMass, toProbeDelay } from './blame.ts'
import { planRetry } from './plan.ts'

const minute = 60_000
const hour = 60 * minute
const seen = { tries: 2, forMs: minute, others: 4, failing: 1, working: 1, isMass: false }

describe('an answer that would park a user', () => {
  test.each([
    ['the first one is never enough', { tries: 1 }, 'unsure'],
    ['a second one while others are served', {}, 'user'],
    ['nobody else was asked meanwhile', { working: 0 }, 'unsure'],
    ['one user alone', { others: 0, working: 0, tries: 14 }, 'unsure'],
    ['one user alone, for long', { others: 0, working: 0, tries: 15 }, 'user'],
    ['one of two, the other one is served', { others: 1, tries: 2 }, 'unsure'],
    ['one of two, the other one is served, several times', { others: 1, tries: 6 }, 'user'],
    ['two of two', { others: 1, failing: 2, working: 0, tries: 6 }, 'unsure'],
    ['many, and nobody is served', { failing: 3, working: 0, isMass: true, tries: 100 }, 'outage'],
    ['many, while some are served', { failing: 3, working: 2, isMass: true, tries: 2 }, 'unsure'],
    ['many, while some are served, for long', { failing: 3, working: 2, isMass: true, tries: 15 }, 'user'],
    ['many, for a day', { failing: 90, working: 0, isMass: true, forMs: 24 * hour }, 'user'],
  ] as const)('%s: %j', (_name, evidence, blame) => {
    expect(evaluateBlame({ ...seen, ...evidence })).toBe(blame)
  })

  test.each([
    [{ failing: 2, working: 0 }, false],
    [{ failing: 3, working: 0 }, true],
    [{ failing: 3, working: 2 }, true],
    [{ failing: 3, working: 7 }, false],
    [{ failing: 4, working: 6 }, true],
    [{ failing: 3, working: 97 }, false],
  ])('%j are many: %s', (counts, many) => {
    expect(isMass(counts)).toBe(many)
  })

  test('a fault of two hours parks nobody who is alone: there are too few tries in it', () => {
    const bounds = { minIntervalMs: minute, maxIntervalMs: 20 * minute }
    const fairness = { activeUsers: 1, remainingMs: 24 * hour, left: 600 }
    let at = 0
    let tries = 0
    while (evaluateBlame({ ...seen, tries, forMs: at, others: 0, working: 0 }) !== 'user') {
      tries += 1
      at += planRetry({ bounds, fairness, failures: tries, othersFail: false, jitter: 0 })
    }
    expect(at).toBeGreaterThan(2 * hour)
    expect(at).toBeLessThan(4 * hour)
  })
})

describe('a parked user', () => {
  const hours = (consent: 'living' | 'ended' | 'unknown', probes: number) => {
    const ms = toProbeDelay({ probes, consent })
    return ms === null ? null : ms / hour
  }

  test('is tried again after 1, 1, 2, 4 and 8 hours and then once a day', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 100].map((probes) => hours('living', probes))).toEqual([
      ...[1, 1, 2, 4, 8],
      ...[24, 24, 24],
    ])
  })

  test('whose consent has ended is given up after a few tries, of unknown age a week later', () => {
    expect([4, 5, 6].map((probes) => hours('ended', probes))).toEqual([8, null, null])
    expect([5, 11, 12].map((probes) => hours('unknown', probes))).toEqual([24, 24, null])
  })
})
