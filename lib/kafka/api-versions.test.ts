import { expect, test } from 'vitest'
import { releaseOf, unsharedApis } from './api-versions.ts'

/** The versions that Kafka 4.3.1 speaks of the APIs in use. */
const kafka43 = new Map(
  Object.entries({
    ...{ 0: [0, 13], 1: [4, 18], 2: [1, 11], 3: [0, 13], 8: [2, 10], 9: [1, 10], 10: [0, 6], 11: [0, 9] },
    ...{ 12: [0, 4], 13: [0, 5], 14: [0, 5], 15: [0, 6], 16: [0, 5], 19: [2, 7], 22: [0, 5], 32: [1, 4] },
    ...{ 33: [0, 2], 37: [0, 3] },
  }).map(([key, [min = 0, max = 0]]) => [Number(key), { minVersion: min, maxVersion: max }]),
)

test('the client speaks with Kafka 4.3', () => {
  expect(unsharedApis(kafka43)).toEqual([])
  expect(releaseOf(kafka43)).toBe('4.1')
})

test.each([
  ['drops what the client speaks', 1, { minVersion: 12, maxVersion: 20 }, ['Fetch']],
  ['is too old for zstd', 0, { minVersion: 0, maxVersion: 6 }, ['Produce']],
])('a release that %s is named', (_title, key, range, apis) => {
  expect(unsharedApis(new Map([...kafka43, [key, range]]))).toEqual(apis)
})

test('an API that is not there is named; a very old broker has no release', () => {
  expect(unsharedApis(new Map([...kafka43].filter(([key]) => key !== 22)))).toEqual(['InitProducerId'])
  expect(releaseOf(new Map([[1, { minVersion: 0, maxVersion: 8 }]]))).toBeNull()
})
