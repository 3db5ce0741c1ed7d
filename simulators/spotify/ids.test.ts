import fc from 'fast-check'
import { expect, test } from 'vitest'
import { idKinds, maxEntities, toId, toIndex } from './ids.ts'

const kinds = fc.constantFrom(...(Object.keys(idKinds) as (keyof typeof idKinds)[]))
const seeds = fc.nat(1_000)
const indices = fc.nat(maxEntities - 1)

test('an id finds its entity', () => {
  fc.assert(
    fc.property(seeds, kinds, indices, (seed, kind, index) => {
      const id = toId(seed, kind, index)
      expect(id).toMatch(/^[0-7][0-9A-Za-z]{21}$/)
      expect(toIndex(seed, kind, id)).toBe(index)
    }),
  )
})

test('an id of another seed, another kind or nobody finds nothing', () => {
  fc.assert(
    fc.property(seeds, indices, (seed, index) => {
      const id = toId(seed, 'track', index)
      expect(toIndex(seed + 1, 'track', id)).toBeNull()
      expect(toIndex(seed, 'artist', id)).toBeNull()
      expect(toIndex(seed, 'track', `z${id.slice(1)}`)).toBeNull()
    }),
  )
  expect(toIndex(1, 'track', 'not an id')).toBeNull()
})
