import { expect, test } from 'vitest'
import { createBuckets } from './buckets.ts'

test('a window allows its limit, says what is left, and begins anew after its length', () => {
  const buckets = createBuckets({ limit: 2, lengthMs: 2_000 })
  expect(buckets.take('a', 100)).toEqual({ allowed: true, remaining: 1, resetAfterMs: 2_000 })
  expect(buckets.take('a', 600)).toEqual({ allowed: true, remaining: 0, resetAfterMs: 1_500 })
  expect(buckets.take('a', 2_099)).toEqual({ allowed: false, remaining: 0, resetAfterMs: 1 })
  expect(buckets.take('b', 2_099).allowed).toBe(true)
  expect(buckets.take('a', 2_100)).toEqual({ allowed: true, remaining: 1, resetAfterMs: 2_000 })
})
