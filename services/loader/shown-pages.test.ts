import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Freshness } from './freshness.ts'
import { ShownPages } from './shown-pages.ts'

const users = ['1', '2', '3', '4', '5', '6']
const kept = fc.record({
  userId: fc.constantFrom(...users),
  size: fc.integer({ min: 1, max: 40_000 }),
  fill: fc.integer({ min: 1, max: 255 }),
})

test('whatever was kept in whose place, a user has their last page or none', () => {
  const seen = { found: 0, gone: 0 }
  fc.assert(
    fc.property(fc.array(kept, { minLength: 1, maxLength: 60 }), (list) => {
      const pages = new ShownPages(new Freshness(), { maxBytes: 100_000 })
      const last = new Map<string, Buffer>()
      for (const { userId, size, fill } of list) {
        const body = Buffer.alloc(size, fill)
        pages.keep(userId, { body, fetchedAt: fill, items: [], itemsAt: 1, fullAt: performance.now() })
        last.set(userId, Buffer.from(body))
        // The next fetch may overwrite the bytes of the batch.
        body.fill(0)
        for (const [user, expected] of last) {
          const found = pages.get(user)
          seen[found ? 'found' : 'gone']++
          if (found && !(found.body.equals(expected) && found.fetchedAt === expected[0])) return false
        }
      }
      return true
    }),
  )
  expect(seen.found).toBeGreaterThan(0)
  expect(seen.gone).toBeGreaterThan(0)
})
