import { describe, expect, test } from 'vitest'
import type { Bound, Choice } from './bounds.ts'
import { isWithin, toLimits, toRanges } from './bounds.ts'

const all: Choice = { from: null, to: null, partitions: null }
const ends = [
  { partition: 0, start: 10, end: 50 },
  { partition: 1, start: 0, end: 0 },
  { partition: 2, start: 5, end: 20 },
]
const time = (at: number): Bound => ({ type: 'time', at })

describe('ranges', () => {
  test.each<[string, Partial<Choice>, [number, number, number][]]>([
    [
      'all that the topic has, without empty partitions',
      {},
      [
        [0, 10, 50],
        [2, 5, 20],
      ],
    ],
    ['chosen partitions', { partitions: [2] }, [[2, 5, 20]]],
    ['one offset for all, within what there is', { from: { type: 'offset', offset: 30 } }, [[0, 30, 50]]],
    [
      'offsets leave out the partitions that they do not name',
      { from: { type: 'offsets', byPartition: { 2: 1 } } },
      [[2, 5, 20]],
    ],
    [
      'to is not included',
      { from: { type: 'offset', offset: 0 }, to: { type: 'offsets', byPartition: { 0: 12 } } },
      [[0, 10, 12]],
    ],
    [
      'nothing where from is behind to',
      { from: { type: 'offset', offset: 40 }, to: { type: 'offset', offset: 40 } },
      [],
    ],
  ])('%s', (_, choice, ranges) => {
    const found = toRanges(ends, { ...all, ...choice }, {})
    expect(found.map((r) => [r.partition, r.from, r.to])).toEqual(ranges)
  })

  test('times are looked up by partition; a partition without the time ends where it ends', () => {
    const choice = { ...all, from: time(1), to: time(2) }
    const at = {
      from: new Map([
        [0, 20],
        [2, 20],
      ]),
      to: new Map([[0, 30]]),
    }
    expect(toRanges(ends, choice, at)).toEqual([{ partition: 0, from: 20, to: 30 }])
  })

  test('limits of a partition bound offsets and times', () => {
    const limits = toLimits({ ...all, from: { type: 'offset', offset: 5 }, to: time(1000) }, 0)
    if (!limits) throw new Error('Partition 0 is chosen')
    expect(isWithin(limits, { offset: 5, timestamp: 999 })).toBe(true)
    expect(isWithin(limits, { offset: 4, timestamp: 999 })).toBe(false)
    expect(isWithin(limits, { offset: 5, timestamp: 1000 })).toBe(false)
    expect(toLimits({ ...all, partitions: [1] }, 0)).toBeNull()
  })
})
