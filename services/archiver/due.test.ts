import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { OpenObject } from './due.ts'
import { isDue } from './due.ts'

const ageMs = 300_000
const open = (object: Partial<OpenObject>): OpenObject => ({
  ...{ full: false, openMs: 0, recordAgeMs: 0, more: false },
  ...object,
})

test.each<[string, Partial<OpenObject>, boolean]>([
  ['full, whatever waits', { full: true, more: true }, true],
  ['young', { openMs: 200_000, recordAgeMs: 299_999 }, false],
  ['old by its first record, open for a moment', { openMs: 10_000, recordAgeMs: ageMs }, true],
  ['old by its first record, opened just now', { openMs: 9_999, recordAgeMs: ageMs }, false],
  ['old, and more waits', { openMs: 29_999, recordAgeMs: ageMs, more: true }, false],
  ['old, more waits, and it has grown for a while', { openMs: 30_000, recordAgeMs: ageMs, more: true }, true],
  ['a clock of 1970, opened just now', { openMs: 0, recordAgeMs: 1.7e12 }, false],
  ['a clock of the future, open for the whole age', { openMs: ageMs, recordAgeMs: -1e12, more: true }, true],
])('%s', (_title, object, expected) => {
  expect(isDue(open(object), ageMs)).toBe(expected)
})

const object = fc.record({
  full: fc.boolean(),
  openMs: fc.nat(600_000),
  recordAgeMs: fc.integer({ min: -1e12, max: 2e12 }),
  more: fc.boolean(),
})

test('what is due stays due as time goes by, and when nothing more waits', () => {
  fc.assert(
    fc.property(object, fc.nat(1e9), fc.boolean(), (o, ms, more) => {
      fc.pre(isDue(o, ageMs))
      const later = { ...o, openMs: o.openMs + ms, recordAgeMs: o.recordAgeMs + ms, more: o.more && more }
      expect(isDue(later, ageMs)).toBe(true)
    }),
  )
})

/** A partition that changes its owner again and again; its clock ticks once a second. */
interface Flapping {
  /** Lengths of the terms of ownership, in seconds; repeated. */
  terms: number[]
  /** Seconds between two records. */
  pace: number
  /** The most records read in a second: a small number leaves records waiting. */
  reads: number
  /** How far the producer's clock is off, in seconds. */
  skew: number
}

/** How many seconds each record of an hour waited until it was put. */
function run({ terms, pace, reads, skew }: Flapping): { waits: number[]; objects: number } {
  const records = Array.from({ length: Math.floor(3600 / pace) }, (_, i) => i * pace)
  const waits: number[] = []
  let [put, taken, openedAt, objects, termEnds, term] = [0, 0, 0, 0, 0, 0]
  for (let now = 0; now < 7200; now++) {
    if (now >= termEnds) {
      taken = put
      termEnds = now + (terms[term++ % terms.length] ?? 1)
    }
    if (taken === put) openedAt = now
    const there = records.filter((at) => at <= now).length
    taken = Math.min(there, taken + reads)
    if (taken === put) continue
    const first = records[put] ?? 0
    const openMs = (now - openedAt) * 1000
    const recordAgeMs = (now - first - skew) * 1000
    if (!isDue({ full: false, openMs, recordAgeMs, more: taken < there }, ageMs)) continue
    waits.push(...records.slice(put, taken).map((at) => now - at))
    put = taken
    objects++
  }
  return { waits, objects }
}

test('however often a partition changes hands, every record is put soon after it has the age', () => {
  const flapping = fc.record({
    terms: fc.array(fc.integer({ min: 31, max: 400 }), { minLength: 1, maxLength: 20 }),
    pace: fc.integer({ min: 20, max: 400 }),
    reads: fc.constantFrom(1, 2, 500),
    skew: fc.constantFrom(0, 0, -86_400, -1e9),
  })
  fc.assert(
    fc.property(flapping, (flaps) => {
      const { waits } = run(flaps)
      expect(waits.length).toBe(Math.floor(3600 / flaps.pace))
      expect(Math.max(...waits)).toBeLessThanOrEqual(300 + 400 + 31)
    }),
    { numRuns: 50 },
  )
})

test('with a clock of 1970 objects are no smaller than a thirtieth of the age', () => {
  const { objects } = run({ terms: [7200], pace: 1, reads: 500, skew: -1e9 })
  expect(objects).toBeLessThanOrEqual(3600 / 10)
})
