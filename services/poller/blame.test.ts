import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { classify } from '../../lib/spotify/classify.ts'
import { outcomeRules } from '../../lib/spotify/outcome-rules.ts'
import { createRandom } from '../../simulators/random.ts'
import { evaluateBlame, isMass, toProbeDelay } from './blame.ts'
import type { Bounds } from './plan.ts'
import { planRetry } from './plan.ts'

const minute = 60_000
const hour = 60 * minute
const seen = { tries: 2, forMs: minute, others: 4, failing: 1, working: 1, isMass: false }
const longMass = { failing: 3, working: 2, isMass: true, tries: 15, forMs: 4 * hour }

describe('an answer that would park a user', () => {
  test.each([
    ['the first one is never enough', { tries: 1 }, 'unsure'],
    ['a second one while others are served', {}, 'user'],
    ['nobody else was asked meanwhile', { working: 0 }, 'unsure'],
    ['one user alone', { others: 0, working: 0, tries: 14 }, 'unsure'],
    ['one user alone, often within minutes', { others: 0, working: 0, tries: 99 }, 'unsure'],
    ['one user alone, for long', { others: 0, working: 0, tries: 15, forMs: 4 * hour }, 'user'],
    ['one user alone, seldom asked for', { others: 0, working: 0, tries: 14, forMs: 23 * hour }, 'unsure'],
    ['one of two, the other one is served', { others: 1, tries: 2 }, 'unsure'],
    ['one of two, the other one is served, within minutes', { others: 1, tries: 6 }, 'unsure'],
    ['one of two, the other one is served, half an hour', { others: 1, tries: 6, forMs: hour / 2 }, 'user'],
    ['two of two', { others: 1, failing: 2, working: 0, tries: 6 }, 'unsure'],
    ['many, and nobody is served', { failing: 3, working: 0, isMass: true, tries: 100 }, 'outage'],
    ['many, while some are served', { failing: 3, working: 2, isMass: true, tries: 2 }, 'unsure'],
    ['many, while some are served, for long', longMass, 'user'],
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

  const settings = {
    users: fc.constantFrom(1, 2),
    maxIntervalMs: fc.integer({ min: minute, max: 20 * minute }),
  }

  test('in words that nobody ever used, for everybody of one or two, for three hours, parks nobody', () => {
    const type = classify('recently-played', forbidden('Das Abonnement des Besitzers ruht.')).type
    expect(outcomeRules[type].parks).toBe('forbidden')
    fc.assert(
      fc.property(fc.record({ ...settings, seed: fc.integer() }), (installation) => {
        expect(parkedAt({ ...installation, refusesAll: true }).filter((at) => at <= 3 * hour)).toEqual([])
      }),
    )
  })

  test('of one of two who alone is refused parks them soon, and not the other one', () => {
    fc.assert(
      fc.property(fc.record({ ...settings, seed: fc.integer() }), ({ maxIntervalMs, seed }) => {
        const [at = 0, other] = parkedAt({ users: 2, maxIntervalMs, seed, refusesAll: false })
        expect(at).toBeLessThan(1.5 * hour)
        expect(other).toBe(Number.POSITIVE_INFINITY)
      }),
    )
  })

  test('of one who is alone and stays refused parks them within five hours', () => {
    const [at = 0] = parkedAt({ users: 1, maxIntervalMs: 20 * minute, seed: 1, refusesAll: true })
    expect(at).toBeGreaterThan(4 * hour)
    expect(at).toBeLessThan(5 * hour)
  })
})

const forbidden = (text: string) => ({ status: 403, headers: {}, body: Buffer.from(text) })

interface Polled {
  nextAt: number
  /** Since when the user is refused, or null if they are served. */
  firstRefusedAt: number | null
  lastOkAt: number
  tries: number
  parkedAt: number
}

/**
 * When each of a few users is parked, in milliseconds after a refusal begins; Infinity if not within a day. Spotify
 * refuses the first of them at once, and each other one from a moment of the first ten minutes on, or never.
 */
function parkedAt(installation: {
  users: number
  maxIntervalMs: number
  seed: number
  refusesAll: boolean
}): number[] {
  const { maxIntervalMs, seed, refusesAll } = installation
  const random = createRandom(seed).next
  const bounds = { minIntervalMs: minute, maxIntervalMs }
  const users = Array.from({ length: installation.users }, (_, i) => ({
    refusedFrom: i === 0 ? 0 : refusesAll ? random() * 10 * minute : Number.POSITIVE_INFINITY,
    state: toPolled(random() * maxIntervalMs),
  }))
  for (;;) {
    const [next] = users
      .filter(({ state }) => state.parkedAt === Number.POSITIVE_INFINITY)
      .toSorted((a, b) => a.state.nextAt - b.state.nextAt)
    if (!next || next.state.nextAt > 24 * hour) return users.map(({ state }) => state.parkedAt)
    const others = users.filter((user) => user !== next).map(({ state }) => state)
    const at = next.state.nextAt
    if (at < next.refusedFrom) next.state = { ...toPolled(at + maxIntervalMs * random()), lastOkAt: at }
    else next.state = toRefused(next.state, { others, bounds, jitter: random() })
  }
}

const toPolled = (nextAt: number): Polled => ({
  ...{ nextAt, firstRefusedAt: null, lastOkAt: -1, tries: 0 },
  parkedAt: Number.POSITIVE_INFINITY,
})

function toRefused(
  user: Polled,
  { others, bounds, jitter }: { others: readonly Polled[]; bounds: Bounds; jitter: number },
): Polled {
  const at = user.nextAt
  const firstRefusedAt = user.firstRefusedAt ?? at
  const tries = user.tries + 1
  const failing = 1 + others.filter((o) => o.firstRefusedAt !== null).length
  const working = others.filter((o) => o.firstRefusedAt === null && o.lastOkAt > firstRefusedAt).length
  const counts = { failing, working }
  const evidence = {
    ...counts,
    tries,
    forMs: at - firstRefusedAt,
    others: others.length,
    isMass: isMass(counts),
  }
  const isParked = evaluateBlame(evidence) === 'user'
  const fairness = { activeUsers: others.length + 1, remainingMs: 24 * hour, left: 600 }
  const plan = { bounds, fairness, failures: tries, othersFail: failing > 1, jitter }
  const nextAt = at + planRetry(plan)
  return { ...user, firstRefusedAt, tries, nextAt, parkedAt: isParked ? at : user.parkedAt }
}

describe('a parked user', () => {
  const hours = (consent: 'living' | 'ended' | 'unknown', probes: number, jitter = 0.5) => {
    const ms = toProbeDelay({ probes, consent, jitter })
    return ms === null ? null : ms / hour
  }

  test('is tried again after 1, 1, 2, 4 and 8 hours and then once a day', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 100].map((probes) => hours('living', probes))).toEqual([
      ...[1, 1, 2, 4, 8],
      ...[24, 24, 24],
    ])
  })

  test('is not tried at the moment at which others are who were parked together', () => {
    const [early, late] = [hours('living', 0, 0), hours('living', 0, 1)]
    expect(late).toBeGreaterThan(Number(early))
  })

  test('whose consent has ended is given up after a few tries, of unknown age a week later', () => {
    expect([4, 5, 6].map((probes) => hours('ended', probes))).toEqual([8, null, null])
    expect([5, 11, 12].map((probes) => hours('unknown', probes))).toEqual([24, 24, null])
  })
})
