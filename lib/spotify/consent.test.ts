import { expect, test } from 'vitest'
import { consentDaysLeft, consentEndsAt, dueWarning, warnedBefore } from './consent.ts'

const now = new Date('2026-11-24T08:00:00Z')
const dayMs = 86_400_000
/** A consent that ends in this many days. */
const endingIn = (days: number) => new Date(now.getTime() + (days - 180) * dayMs)

test.each([
  [180, null, null],
  [30.01, null, null],
  [30, null, 30],
  [25, 30, null],
  [25, null, 30],
  [7, 30, 7],
  [6.5, 7, null],
  [1, 7, 1],
  [0.2, 1, null],
  [0.2, 30, 1],
  [0.2, null, 1],
  [-3, 7, 1],
  [-3, 1, null],
])('with %d days left and %j told, %j is due', (left, told, due) => {
  expect(dueWarning(endingIn(left), { now, told })).toBe(due)
})

test('each warning is told once over a consent, in order', () => {
  let told: number | null = null
  const heard: [number, number][] = []
  for (let left = 180; left > -10; left -= 0.25) {
    const due = dueWarning(endingIn(left), { now, told })
    if (due !== null) heard.push([left, due])
    told = due ?? told
  }
  expect(heard).toEqual([
    [30, 30],
    [7, 7],
    [1, 1],
  ])
})

test('who may have to be warned is known by the date of the consent alone', () => {
  for (const left of [-1, 0, 1, 7, 29.9, 30]) {
    expect(endingIn(left).getTime()).toBeLessThanOrEqual(warnedBefore(now).getTime())
  }
  expect(endingIn(30.1) > warnedBefore(now)).toBe(true)
})

test('days left are whole and never negative', () => {
  expect(consentEndsAt(endingIn(3))).toEqual(new Date(now.getTime() + 3 * dayMs))
  expect([3.9, 0.5, -20].map((d) => consentDaysLeft(endingIn(d), now))).toEqual([3, 0, 0])
})
