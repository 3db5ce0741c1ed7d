import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PastOffset } from './lag-age.ts'
import { isBracketed, lagLadderMs, toLagAge } from './lag-age.ts'

/** A log with one record a second for an hour; the last one, offset 3,599, is a second old. */
const perSecond = (ages: readonly number[]): PastOffset[] =>
  ages.map((ageMs) => ({ ageMs, offset: Math.max(0, 3_600 - Math.floor(ageMs / 1000)) }))

test.each([
  ['the newest record waits', 3_599, [1_000, 2_000], 1_000],
  ['a rung falls on the record', 3_590, [5_000, 10_000, 20_000], 10_000],
  ['the record lies between two rungs', 3_585, [10_000, 20_000], 15_000],
  ['no rung reaches back far enough', 0, [1_000, 2_000, 5_000], 5_000],
  ['nothing was asked', 5, [], 0],
])('the age of the oldest waiting record is known where %s', (_where, next, ages, expected) => {
  expect(toLagAge(next, perSecond(ages))).toBe(expected)
})

test('a log that has stood still for a long time shows the age of what waits in it', () => {
  const still = [60_000, 120_000, 300_000].map((ageMs) => ({ ageMs, offset: ageMs < 300_000 ? 100 : 40 }))
  expect(toLagAge(99, still)).toBeGreaterThan(120_000)
  expect(toLagAge(40, still)).toBe(300_000)
})

test('the age is never off by more than a rung, whatever the pace of the records', () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 2, maxLength: 200 })
  fc.assert(
    fc.property(gaps, fc.nat(), (between, pick) => {
      // Ages of the records, oldest first.
      let age = 0
      const ages = between.map((gap) => (age += gap)).reverse()
      const next = pick % ages.length
      const past: PastOffset[] = []
      for (const ageMs of lagLadderMs) {
        const first = ages.findIndex((a) => a <= ageMs)
        past.push({ ageMs, offset: first < 0 ? ages.length : first })
        if (isBracketed(next, past)) break
      }
      const truth = ages[next] ?? 0
      const older = lagLadderMs.find((rung) => rung >= truth) ?? 0
      const younger = lagLadderMs.findLast((rung) => rung < truth) ?? 0
      const found = toLagAge(next, past)
      expect(found).toBeGreaterThanOrEqual(younger)
      expect(found).toBeLessThanOrEqual(older)
    }),
  )
})
