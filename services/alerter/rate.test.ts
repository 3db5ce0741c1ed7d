import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MessageRate } from './rate.ts'

test('never posts more than its share in any minute, and never waits without need', () => {
  const steps = fc.array(fc.nat({ max: 5_000 }), { minLength: 50, maxLength: 300 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), steps, (perMinute, gaps) => {
      const rate = new MessageRate(perMinute)
      const sent: number[] = []
      let now = 0
      for (const gap of gaps) {
        now += gap
        now += rate.waitMs(now)
        expect(rate.waitMs(now)).toBe(0)
        rate.took(now)
        sent.push(now)
      }
      for (const at of sent) {
        expect(sent.filter((t) => t > at - 60_000 && t <= at).length).toBeLessThanOrEqual(perMinute)
      }
    }),
  )
})

test('keeps the longest pause that was asked for', () => {
  const rate = new MessageRate(30)
  rate.hold(5_000)
  rate.hold(2_000)
  expect(rate.waitMs(1_000)).toBe(4_000)
  expect(rate.waitMs(5_000)).toBe(0)
})
