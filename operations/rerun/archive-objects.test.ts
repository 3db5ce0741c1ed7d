import { expect, test } from 'vitest'
import { chooseObjects } from './archive-objects.ts'
import type { Choice } from './bounds.ts'

const object = (partition: number, firstOffset: number, date: string) => ({
  ...{ topic: 't', partition, firstOffset },
  date,
})
const keys = [
  object(0, 0, '2026-11-01'),
  object(0, 10, '2026-11-05'),
  object(0, 20, '2026-11-10'),
  object(1, 0, '2026-11-10'),
]
const at = (text: string) => ({ type: 'time' as const, at: Date.parse(text) })

test.each<[string, Partial<Choice>, number[]]>([
  ['everything', {}, [0, 1, 2, 3]],
  ['a partition', { partitions: [1] }, [3]],
  ['an offset within an object', { from: { type: 'offsets', byPartition: { 0: 15 } } }, [1, 2]],
  ['the first offset of an object', { from: { type: 'offsets', byPartition: { 0: 20 } } }, [2]],
  ['up to an offset', { to: { type: 'offset', offset: 10 } }, [0, 3]],
  ['an object may reach up to the date of the next one', { from: at('2026-11-06T00:00:00Z') }, [0, 1, 2, 3]],
  ['long after the next one begins, it is left out', { from: at('2026-11-08T00:00:00Z') }, [1, 2, 3]],
  ['objects that begin later are left out, but for a day', { to: at('2026-11-04T12:00:00Z') }, [0, 1]],
])('%s', (_, choice, expected) => {
  const chosen = chooseObjects(keys, { from: null, to: null, partitions: null, ...choice })
  expect(chosen.map((k) => keys.indexOf(k))).toEqual(expected)
})
