import { expect, test } from 'vitest'
import { Freshness } from './freshness.ts'
import { ShownPages } from './shown-pages.ts'

const minute = 60_000

test('what is remembered counts for a quarter of an hour, and for a minute where the server is not known', () => {
  const freshness = new Freshness()
  const now = performance.now()
  expect([14, 16].map((n) => freshness.isFresh(now - n * minute, now))).toEqual([true, false])
  freshness.isBlind = true
  expect([0.9, 1.1].map((n) => freshness.isFresh(now - n * minute, now))).toEqual([true, false])
})

test('a page counts by its last full reading, however often it was read beyond the one before', () => {
  const pages = new ShownPages(new Freshness())
  const keep = (fullAt: number) =>
    pages.keep('7', { body: Buffer.from('x'), fetchedAt: 1, items: [], itemsAt: 0, fullAt })
  keep(performance.now() - 14 * minute)
  expect(pages.get('7')).toBeDefined()
  keep(performance.now() - 16 * minute)
  expect(pages.get('7')).toBeUndefined()
  pages.purge()
  keep(performance.now())
  expect(pages.get('7')).toBeDefined()
})
