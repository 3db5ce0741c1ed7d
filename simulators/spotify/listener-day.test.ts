import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCatalogue } from './catalogue.ts'
import { type DayPlay, dayMs, minimumHeardMs, toDay } from './listener-day.ts'

const catalogue = createCatalogue(7, 5_000)
const everyDay = Array.from({ length: 300 }, (_, listener) =>
  toDay(catalogue, listener, 100 + (listener % 60)),
)
const everyPlay = everyDay.flat()

test('a day is a function of seed, listener and day', () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.integer({ min: -1e6, max: 1e6 }), (listener, day) => {
      expect(toDay(catalogue, listener, day)).toEqual(toDay(createCatalogue(7, 5_000), listener, day))
    }),
    { numRuns: 30 },
  )
})

test('plays end within the day, at least 30 s apart, and never arrive before they end', () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.nat(1e6), (listener, day) => {
      let last = 0
      for (const play of toDay(catalogue, listener, day)) {
        expect(play.endMs - last).toBeGreaterThanOrEqual(minimumHeardMs - 1)
        expect(play.endMs).toBeLessThan(dayMs)
        expect(play.availableMs).toBeGreaterThanOrEqual(play.endMs)
        expect(play.track).toBeLessThan(catalogue.trackCount)
        last = play.endMs
      }
    }),
  )
})

test('days have idle days, offline sessions, repeats, skips and every kind of context', () => {
  expect(everyDay.some((day) => day.length === 0)).toBe(true)
  expect(share((play) => play.availableMs > play.endMs + 3_600_000)).toBeGreaterThan(0.01)
  expect(share((play) => play.availableMs > play.endMs + 3_600_000)).toBeLessThan(0.2)
  expect(share((play) => play.context === null)).toBeGreaterThan(0.15)
  for (const type of ['album', 'playlist', 'artist']) {
    expect(share((play) => play.context?.type === type)).toBeGreaterThan(0.03)
  }
  const neighbours = everyDay.flatMap((day) =>
    day.slice(1).map((play, place) => ({ play, before: day[place] })),
  )
  const repeats = neighbours.filter(({ play, before }) => play.track === before?.track)
  expect(repeats.length / neighbours.length).toBeGreaterThan(0.005)
  const whole = neighbours.filter(({ play, before }) => {
    return Math.abs(play.endMs - (before?.endMs ?? 0) - catalogue.durationMs(play.track)) < 2_500
  })
  expect(whole.length / neighbours.length).toBeGreaterThan(0.4)
  expect(whole.length / neighbours.length).toBeLessThan(0.95)
})

test('evenings are fuller than nights', () => {
  const between = (from: number, to: number) =>
    share((play) => play.endMs >= from * 3_600_000 && play.endMs < to * 3_600_000)
  expect(between(17, 22)).toBeGreaterThan(4 * between(0, 5))
})

test('popular tracks are played far more often than others', () => {
  expect(share((play) => play.track < 50)).toBeGreaterThan(0.1)
  expect(new Set(everyPlay.map((play) => play.track)).size).toBeGreaterThan(1_000)
})

function share(holds: (play: DayPlay) => boolean): number {
  return everyPlay.filter(holds).length / everyPlay.length
}
