import { describe, expect, test } from 'vitest'
import type { Bound, Choice } from './bounds.ts'
import { isWithin, parseFrom, parseTo, toBound, toLimits, toRanges } from './bounds.ts'

const now = new Date('2026-11-24T12:00:00Z')
const all: Choice = { from: null, to: null, partitions: null }
const ends = [
  { partition: 0, start: 10, end: 50 },
  { partition: 1, start: 0, end: 0 },
  { partition: 2, start: 5, end: 20 },
]
const time = (at: number): Bound => ({ type: 'time', at })

describe('what an operator writes', () => {
  test.each<[string, Bound | null]>([
    ['7d', time(now.getTime() - 7 * 86_400_000)],
    ['-90m', time(now.getTime() - 90 * 60_000)],
    ['2026-11-24T08:15', time(Date.UTC(2026, 10, 24, 8, 15))],
    ['1200', { type: 'offset', offset: 1200 }],
    ['0:1200,3:40', { type: 'offsets', byPartition: { 0: 1200, 3: 40 } }],
    ['0:1200,', null],
    ['tomorrow', null],
  ])('%s', (text, bound) => {
    expect(toBound(text, now)).toEqual(bound)
  })

  test('earliest and latest are the ends of the topic', () => {
    expect([parseFrom('earliest'), parseTo('latest')]).toEqual([null, null])
    for (const slip of ['latest', 'soon']) expect(() => parseFrom(slip)).toThrow('Give earliest, a span')
    expect(() => parseTo('earliest')).toThrow('Give latest, a span')
  })
})

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
