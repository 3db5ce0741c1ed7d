import { expect, test } from 'vitest'
import type { Refusal } from './breaker.ts'
import { afterUnclearLook, toRefusal } from './breaker.ts'

const waits = (type: Refusal['type'], times: number) => {
  let refusal: Refusal | null = null
  return Array.from({ length: times }, () => {
    refusal = toRefusal(refusal, { type, detail: '' }, 1_000)
    return (refusal.until - 1_000) / 1_000
  })
}

test('a channel that takes nothing is tried soon, and then every five minutes', () => {
  expect(waits('closed', 9)).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300])
})

test('a dead webhook is looked at once an hour', () => {
  expect(waits('dead', 3)).toEqual([3_600, 3_600, 3_600])
})

test('a dead webhook is looked at again in a minute when the look met no answer of its own', () => {
  const refusal = toRefusal(null, { type: 'dead', detail: 'gone' }, 1_000)
  expect(afterUnclearLook(refusal, 5_000)).toEqual({ ...refusal, until: 65_000 })
})
