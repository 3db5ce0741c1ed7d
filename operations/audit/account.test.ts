import { describe, expect, test } from 'vitest'
import type { Claims, Evidence } from './account.ts'
import { addClaims, emptyAccount, maxFaults, toPlace } from './account.ts'
import { addsUp } from './verdict.ts'

const page = { userId: '7', partition: 3, offset: 5, timestamp: 1_000, incarnation: 0 }
const place = toPlace(page)
const play = (n: number) => ({ userId: '7', playedAt: n, trackId: `t${n}` })

const claims = (over: Partial<Claims> = {}): Claims => ({
  ...{ place, page, items: 1, plays: [play(1)], repeats: 0, rejects: [], dropped: {}, isDead: false },
  ...over,
})
const nothing = (): Evidence => ({
  ...{ storedBy: [], reportedBy: [], named: [], wasRejected: new Set(), isCounted: () => true },
  dead: { whole: new Set(), inPart: new Set() },
})

function account(all: Claims[], evidence: Partial<Evidence>) {
  const sum = emptyAccount()
  addClaims(sum, all, { ...nothing(), storedBy: all.flatMap((c) => c.plays.map(() => null)), ...evidence })
  return sum
}
describe('a play without a row', () => {
  const dead = (whole: string[], inPart: string[] = []) => ({
    dead: { whole: new Set(whole), inPart: new Set(inPart) },
  })

  test('is excused by a dead letter of its whole page', () => {
    expect(account([claims()], dead([place]))).toMatchObject({ deadLettered: 1, missing: 0, faults: [] })
  })

  test('is missing where the page died for another item', () => {
    expect(account([claims()], dead([], [place]))).toMatchObject({ deadLettered: 0, missing: 1 })
  })

  test('is missing where the dead letter is of a record that had the place in an earlier topic', () => {
    const earlier = toPlace({ ...page, timestamp: 999 })
    const sum = account([claims()], dead([earlier]))
    expect(sum).toMatchObject({ deadLettered: 0, missing: 1 })
    expect(sum.faults).toEqual(['3/5: t1 of user 7 at 1970-01-01T00:00:00.001Z is not stored'])
  })

  test('is rejected where the loader rejected the item when it came', () => {
    const one = claims()
    const sum = account([one], { wasRejected: new Set(one.plays) })
    expect(sum).toMatchObject({ rejected: 1, missing: 0, faults: [] })
  })
})

test('a row that names a page which does not show it is a fault', () => {
  const named = [
    { ...play(1), page: place },
    { ...play(2), page: place },
  ]
  const sum = account([claims()], { storedBy: [place], named })
  expect(sum).toMatchObject({ stored: 1, unclaimed: 1 })
  expect(sum.faults).toEqual([
    '3/5: t2 of user 7 at 1970-01-01T00:00:00.002Z is stored under this page, which does not show it',
  ])
  expect(addsUp({ account: sum, archive: null })).toBe(false)
})

test('items are counted in the page itself: one that the rules lose does not add up', () => {
  const sum = account([claims({ items: 2 })], { storedBy: [place] })
  expect(sum).toMatchObject({ items: 2, stored: 1, faults: [] })
  expect(addsUp({ account: sum, archive: null })).toBe(false)
})

test('the list of faults is bounded, and says how many more there are', () => {
  const plays = Array.from({ length: maxFaults + 234 }, (_, i) => play(i))
  const sum = account([claims({ items: plays.length, plays })], {})
  expect(sum.faults).toHaveLength(maxFaults)
  expect(sum).toMatchObject({ missing: maxFaults + 234, moreFaults: 234 })
})
