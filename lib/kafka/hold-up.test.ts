import fc from 'fast-check'
import { expect, test } from 'vitest'
import { answers, HoldUp } from './hold-up.ts'
import type { RawRecord } from './record.ts'

const record = (offset: number): RawRecord => ({
  ...{ topic: 't', partition: 0, offset, timestamp: 0, key: null, headers: [], bytes: null },
})

/** Works through records as the worker does; buries a record as soon as it is found. */
function work(count: number, bad: ReadonlySet<number>) {
  const holdUp = new HoldUp()
  const queue = Array.from({ length: count }, (_, i) => record(i))
  const settled: number[] = []
  const named: number[] = []
  let attempts = 0
  while (queue[0]) {
    const batch = queue.splice(0, holdUp.sizeAt(queue[0].offset, 100))
    for (;;) {
      attempts++
      if (!batch.some((r) => bad.has(r.offset) && !named.includes(r.offset))) break
      holdUp.failed(batch, 0)
      if (batch.length > 1) queue.unshift(...batch.splice(holdUp.halve(batch.length)))
      else named.push(batch[0]?.offset ?? -1)
    }
    settled.push(...batch.map((r) => r.offset))
    holdUp.passed(batch)
  }
  return { settled, named, attempts }
}

test('names exactly the records that fail by themselves, in order, and settles all others once', () => {
  const badOnes = fc.uniqueArray(fc.nat(299), { maxLength: 12 })
  fc.assert(
    fc.property(badOnes, (bad) => {
      const { settled, named } = work(300, new Set(bad))
      expect(named).toEqual(bad.toSorted((a, b) => a - b))
      expect(settled).toEqual(Array.from({ length: 300 }, (_, i) => i))
    }),
  )
})

test('one record among a hundred costs a few attempts, not a hundred', () => {
  expect(work(100, new Set([57])).attempts).toBeLessThan(25)
})

test('a failure counts from its first attempt, over all parts of the batch, until the batch is past', () => {
  const holdUp = new HoldUp()
  const batch = [record(0), record(1)]
  expect(holdUp.failed(batch, 100)).toBe(0)
  holdUp.halve(2)
  expect(holdUp.failed([record(0)], 150)).toBe(50)
  holdUp.passed([record(0)])
  expect(holdUp.failed([record(1)], 160)).toBe(60)
  holdUp.passed([record(1)])
  expect(holdUp.failed([record(2)], 500)).toBe(0)
})

test('a server answers when its probe does; one that nobody knows counts as one that does', async () => {
  expect(await answers({ name: 'x', probe: async () => 1 })).toBe(true)
  expect(await answers({ name: 'x', probe: () => Promise.reject(new Error('away')) })).toBe(false)
  expect(await answers(null)).toBe(true)
})
