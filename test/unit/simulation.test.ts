import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { budgetWindowMs, pollingNeed } from '../../lib/spotify/budget-plan.ts'
import { outcomeRules } from '../../lib/spotify/outcome-rules.ts'
import { Simulation } from '../simulate/poller.ts'
import type { Rules } from '../simulate/rules.ts'
import { currentRules } from '../simulate/rules.ts'
import { lostOf } from '../simulate/tally.ts'
import { usualWorld } from '../simulate/world.ts'

const minute = 60_000
/** A year takes a second, on a busy machine several. */
const withinMs = 60_000
const { SIMULATION_RUNS } = process.env
/** The usual run is the same each time; a longer one looks for what is new. */
const runs = SIMULATION_RUNS === undefined ? { numRuns: 15, seed: 1 } : { numRuns: Number(SIMULATION_RUNS) }
const day = 24 * 60 * minute
const calm = { ...usualWorld, revokedPerDay: 0, unlistedPerDay: 0, consentMs: 10_000 * day }

const windowMs = (playMs: number) => 50 * playMs
/** The longest interval, and a turn that the fair share may put between two tries. */
const twoTurnsMs = 41 * minute
/**
 * Spotify answers within a window when an outage, with the back-off that it leads to, is over before 50 plays can
 * pass since the last page. Of listeners who are faster than two turns there is no time for a bad answer.
 */
const troubleFor = (playMs: number, outagesPerDay: number) =>
  windowMs(playMs) < twoTurnsMs
    ? { outagesPerDay: 0, badAnswers: 0 }
    : { outagesPerDay, outageMs: (windowMs(playMs) - twoTurnsMs) / 3 }

/**
 * The last requests of a budget's window are few: one renewed token more makes two turns of one. Listeners whose 50
 * plays pass within two turns may lose some plays then.
 */
test('no play is lost while the budget suffices and Spotify answers within its window', () => {
  fc.assert(
    fc.property(
      fc.record({
        users: fc.integer({ min: 1, max: 12 }),
        seed: fc.integer({ min: 1, max: 1_000_000 }),
        playMs: fc.integer({ min: 30_000, max: 240_000 }),
        spare: fc.integer({ min: 25, max: 300 }),
        outagesPerDay: fc.constantFrom(0, 0.5, 2),
      }),
      ({ users, seed, playMs, spare, outagesPerDay }) => {
        const need = pollingNeed({ activeUsers: users, remainingMs: budgetWindowMs })
        const quota = Math.ceil(need * (1 + spare / 100))
        const trouble = troubleFor(playMs, outagesPerDay)
        const world = { ...calm, users, seed, playMs, quota, ...trouble, days: 20 }
        const { lost } = new Simulation(world, currentRules).run()
        const budget = windowMs(playMs) < twoTurnsMs ? lost.budget : 0
        expect(lost).toEqual({ ...lost, parked_wrongly: 0, pause: 0, trouble: 0, budget })
      },
    ),
    runs,
  )
}, 240_000)

describe('a year of five friends with 600 requests a day', () => {
  const year = { ...usualWorld, users: 5, days: 365 }
  const run = (rules: Partial<Rules> = {}, world = year) =>
    new Simulation(world, { ...currentRules, ...rules }).run()
  const tally = run()

  test('loses hardly a play, none of them to a user who was parked wrongly or to the budget', () => {
    expect(lostOf(tally) / tally.plays).toBeLessThan(0.01)
    expect(tally.lost).toMatchObject({ parked_wrongly: 0, budget: 0, pause: 0 })
    expect(tally.wronglyParkedHours).toBeLessThan(24)
  })

  test('calls nobody for nothing more than now and then', () => {
    const falseAlarms = Object.values(tally.alarms).reduce((sum, n) => sum + n.false, 0)
    expect(falseAlarms).toBeLessThan(12)
  })

  test('spends no request beyond its budget: Spotify never says that the quota is exceeded', () => {
    const { uncounted, ...counted } = tally.requests
    expect(uncounted).toBe(0)
    const total = Object.values(counted).reduce((a, b) => a + b)
    expect(total).toBeLessThanOrEqual(366 * 600)
  })

  test(
    'is the same for the same seed',
    () => {
      expect(run()).toEqual(tally)
    },
    withinMs,
  )

  test(
    'would lose more by parking at the first refusal',
    () => {
      const hasty = run({
        judge: (type, seen) => (outcomeRules[type].parks ? 'user' : currentRules.judge(type, seen)),
      })
      expect(lostOf(hasty)).toBeGreaterThan(lostOf(tally))
    },
    withinMs,
  )
})
