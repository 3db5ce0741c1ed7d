import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PastOffset } from './age-search.ts'
import { toLagAge, toProbe } from './age-search.ts'

/** Asks a log, given the ages of its records, oldest first, until the age at an offset is known. */
function search(ages: readonly number[], next: number): { age: number; asked: number } {
  const past: PastOffset[] = []
  for (let probe = toProbe(next, past); probe !== null; probe = toProbe(next, past)) {
    const ageMs = probe
    const first = ages.findIndex((a) => a <= ageMs)
    past.push({ ageMs, offset: first < 0 ? ages.length : first })
    expect(past.length).toBeLessThan(50)
  }
  return { age: toLagAge(next, past), asked: past.length }
}

const dayMs = 86_400_000

test('what has just come costs one question', () => {
  expect(search([90_000, 400], 1)).toEqual({ age: 1_000, asked: 1 })
})

test('a log that has stood still for long shows the age of what waits in it', () => {
  const { age, asked } = search([3 * dayMs, 2 * dayMs, 5_000], 1)
  expect(age / dayMs).toBeGreaterThanOrEqual(2)
  expect(age / dayMs).toBeLessThan(2.05)
  expect(asked).toBeLessThan(20)
})

test('what is older than the topic keeps is as old as the highest age that was asked for', () => {
  expect(search([60 * dayMs], 0).age).toBe(32 * dayMs)
})

test('the age is never too young, and too old by ten seconds or a fiftieth at the most', () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 2_000_000 }), { minLength: 2, maxLength: 200 })
  fc.assert(
    fc.property(gaps, fc.nat(), (between, pick) => {
      let age = 0
      const ages = between.map((gap) => (age += gap)).reverse()
      const next = pick % ages.length
      const truth = ages[next] ?? 0
      const found = search(ages, next).age
      expect(found).toBeGreaterThanOrEqual(truth)
      expect(found - truth).toBeLessThanOrEqual(Math.max(10_000, found * 0.02))
    }),
  )
})
