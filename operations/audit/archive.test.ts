import { expect, test } from 'vitest'
import { toCoverage } from './archive.ts'

const objects = (...ranges: [number, number][]) =>
  ranges.map(([firstOffset, lastOffset]) => ({
    firstOffset,
    lastOffset,
    recordCount: lastOffset - firstOffset + 1,
  }))
const range = { partition: 3, from: 0, to: 100, isCompacted: false, committed: 80 }

test('objects that follow one another cover the range, and what comes after waits', () => {
  expect(toCoverage(objects([0, 49], [50, 79]), range)).toEqual({ archived: 80, waiting: 20, faults: [] })
})

test('a hole is named with its offsets, except where compaction makes them', () => {
  expect(toCoverage(objects([0, 9], [20, 99]), range).faults).toEqual(['3/10: is in no object, up to 19'])
  expect(toCoverage(objects([0, 9], [20, 99]), { ...range, isCompacted: true }).faults).toEqual([])
})

test('an overlap is named', () => {
  expect(toCoverage(objects([0, 50], [40, 99]), range).faults).toEqual(['3/40: is in two objects'])
})

test('a range may begin and end inside objects', () => {
  const inside = { ...range, from: 25, to: 60, committed: 100 }
  expect(toCoverage(objects([0, 49], [50, 79]), inside)).toEqual({ archived: 35, waiting: 0, faults: [] })
})

test('what was committed and is in no object is lost, not waiting', () => {
  expect(toCoverage(objects([0, 49]), range)).toEqual({
    archived: 50,
    waiting: 20,
    faults: ['3/50: is in no object, up to 79'],
  })
  expect(toCoverage([], { ...range, committed: null })).toEqual({ archived: 0, waiting: 100, faults: [] })
})

test('an object that holds fewer records than its offsets say is named', () => {
  const short = [{ firstOffset: 0, lastOffset: 99, recordCount: 98 }]
  expect(toCoverage(short, range).faults).toEqual(['3/0: its object holds 98 records up to 99'])
})

test('rows of an erased user are holes by design, and others are not', () => {
  const range = { partition: 0, from: 0, to: 10, isCompacted: false, committed: 10 }
  const object = { firstOffset: 0, lastOffset: 9, recordCount: 7 }
  expect(toCoverage([{ ...object, erasedCount: 3 }], range).faults).toEqual([])
  expect(toCoverage([{ ...object, erasedCount: 2 }], range).faults).toHaveLength(1)
  expect(toCoverage([object], range).faults).toHaveLength(1)
})

test('an object within which a later log begins covers what both have', () => {
  const [first, second] = objects([0, 59], [40, 99])
  const cut = [
    { ...first, cutAt: 40 },
    { ...second, incarnation: 1 },
  ] as never
  expect(toCoverage(cut, { ...range, committed: 100 })).toEqual({ archived: 100, waiting: 0, faults: [] })
})
