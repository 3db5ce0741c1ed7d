import { expect, test } from 'vitest'
import type { Covered } from './chain.ts'
import { missingOffsets, toMissingText } from './chain.ts'

const object = (
  partition: number,
  firstOffset: number,
  lastOffset: number,
  incarnation?: number,
): Covered => ({
  ...{ topic: 't', date: '2026-11-24', partition, firstOffset, lastOffset },
  ...(incarnation && { incarnation }),
})
const missing = (objects: Covered[], committed: [number, number][] = []) =>
  missingOffsets(objects, 't', new Map(committed)).map(toMissingText)

test.each<[string, Covered[], [number, number][], string[]]>([
  [
    'a chain without a hole',
    [object(0, 0, 9), object(0, 10, 19), object(1, 5, 7)],
    [
      [0, 20],
      [1, 8],
    ],
    [],
  ],
  ['a hole in the middle', [object(0, 0, 9), object(0, 12, 19)], [[0, 20]], ['t/0: offsets 10 to 11']],
  ['in whatever order they are listed', [object(0, 12, 19), object(0, 0, 9)], [], ['t/0: offsets 10 to 11']],
  ['one offset at the end', [object(0, 0, 9)], [[0, 11]], ['t/0: offset 10']],
  ['what is not committed yet may be there', [object(0, 0, 9)], [[0, 5]], []],
  [
    'a partition of which nothing is listed',
    [object(0, 0, 9)],
    [
      [0, 10],
      [1, 3],
    ],
    ['t/1: offsets 0 to 2'],
  ],
  [
    'logs are chains of their own',
    [object(0, 0, 9), object(0, 4, 6, 1), object(0, 9, 9, 1)],
    [[0, 10]],
    ['t/0: offsets 7 to 8 of log 1'],
  ],
])('%s', (_title, objects, committed, expected) => {
  expect(missing(objects, committed)).toEqual(expected)
})
