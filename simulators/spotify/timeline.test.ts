import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCatalogue } from './catalogue.ts'
import { createTimeline, type Play } from './timeline.ts'

const catalogue = createCatalogue(7, 5_000)
const timelineAt = (speed: number) => createTimeline(catalogue, { speed, oddities: {} })
const start = Date.UTC(2026, 10, 24, 12)
const speeds = fc.constantFrom(1, 7, 60, 1_000, 10_000)
const listeners = fc.nat(100_000)
const offsets = fc.nat(86_400_000)

test('a window holds at most 50 plays of the past, newest first, no two in one millisecond', () => {
  fc.assert(
    fc.property(speeds, listeners, offsets, (speed, listener, offset) => {
      const now = start + offset
      const window = timelineAt(speed).recent(listener, { now, since: 0 })
      expect(window.length).toBeLessThanOrEqual(50)
      for (const [place, play] of window.entries()) {
        expect(play.playedAt).toBeLessThan(window[place - 1]?.playedAt ?? now + 1)
        expect(play.availableAt).toBeLessThanOrEqual(now)
      }
    }),
  )
})

test('a restarted simulator shows the plays that it showed before', () => {
  fc.assert(
    fc.property(speeds, listeners, (speed, listener) => {
      const before = timelineAt(speed).recent(listener, { now: start, since: 0 })
      expect(timelineAt(speed).recent(listener, { now: start, since: 0 })).toEqual(before)
    }),
  )
})

test('the window moves on: what was seen is seen again unless 50 newer plays pushed it out', () => {
  fc.assert(
    fc.property(speeds, listeners, fc.nat(60_000), (speed, listener, later) => {
      const timeline = timelineAt(speed)
      const before = timeline.recent(listener, { now: start, since: 0 })
      const after = timeline.recent(listener, { now: start + later, since: 0 })
      const oldest = after.at(-1)?.playedAt ?? 0
      const kept = before.filter((play) => play.playedAt >= oldest)
      expect(after).toEqual(expect.arrayContaining(kept))
    }),
  )
})

test('whatever is seen has happened, and what happened is what a watcher sees', () => {
  const timeline = timelineAt(1_000)
  const sizes: number[] = []
  for (let listener = 0; listener < 5; listener += 1) {
    const seen = new Map<number, Play>()
    const end = start + 300_000
    for (let now = start; now <= end; now += 1_000) {
      for (const play of timeline.recent(listener, { now, since: start })) seen.set(play.playedAt, play)
    }
    const happened = [...timeline.happened(listener, { now: end, since: start })]
    const byTime = (a: Play, b: Play) => a.playedAt - b.playedAt
    expect(happened.toSorted(byTime)).toEqual(happened)
    expect(happened).toEqual(expect.arrayContaining([...seen.values()]))
    const unseen = happened.filter((play) => !seen.has(play.playedAt))
    for (const play of unseen) expect(play.availableAt).toBeGreaterThan(play.playedAt)
    sizes.push(seen.size)
  }
  expect(Math.max(...sizes)).toBeGreaterThan(100)
})

test('late plays surface below newer ones', () => {
  const timeline = timelineAt(1_000)
  const late = Array.from({ length: 200 }, (_, listener) => listener).filter((listener) => {
    for (let now = start; now < start + 120_000; now += 500) {
      const before = timeline.recent(listener, { now, since: 0 })
      const after = timeline.recent(listener, { now: now + 500, since: 0 })
      const newest = before[0]?.playedAt ?? 0
      if (after.some((play) => play.playedAt < newest && !before.includes(play))) return true
    }
    return false
  })
  expect(late.length).toBeGreaterThan(5)
})

test('at speed 1 nights of real days are quiet and gaps are real lengths', () => {
  const plays = [...timelineAt(1).happened(3, { now: start, since: start - 20 * 86_400_000 })]
  expect(plays.length).toBeGreaterThan(50)
  const gaps = plays.slice(1).map((play, place) => play.playedAt - (plays[place]?.playedAt ?? 0))
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(29_999)
})

test('oddities belong to plays: the same play is odd in every window', () => {
  const oddities = { same_millisecond: 0.1, missing_played_at: 0.1, repeated_track: 0.1 }
  const timeline = createTimeline(catalogue, { speed: 60, oddities })
  const before = timeline.recent(3, { now: start, since: 0 })
  const after = createTimeline(catalogue, { speed: 60, oddities }).recent(3, { now: start, since: 0 })
  expect(after).toEqual(before)
  const many = [3, 4, 5, 6].flatMap((listener) => timeline.recent(listener, { now: start, since: 0 }))
  expect(new Set(many.map((play) => play.oddity)).size).toBe(4)
  const twins = before.filter((play, place) => play.playedAt === before[place + 1]?.playedAt)
  expect(twins.length).toBeGreaterThan(0)
})
