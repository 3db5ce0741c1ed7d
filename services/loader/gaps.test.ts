import { describe, expect, test } from 'vitest'
import type { PageSpan } from './gaps.ts'
import { findGaps, shownStretch } from './gaps.ts'

const page = (over: Partial<PageSpan>): PageSpan => ({
  userId: '7',
  fetchedAt: 1_000,
  size: 50,
  oldest: 500,
  newest: 900,
  isWindow: true,
  ...over,
})
const known = (newest: number | null) => new Map([[0, newest]])

describe('a gap', () => {
  test('lies between the newest known play and the oldest play of a full page', () => {
    expect(findGaps([page({})], known(400))).toEqual([{ userId: '7', after: 400, before: 500 }])
  })

  test.each([
    ['the user is new', page({}), null],
    ['the page overlaps with what is known', page({}), 500],
    ['the page is replayed, and its own plays are known', page({}), 900],
    ['the page has room for more', page({ size: 49 }), 400],
    ['the page is an import of old plays', page({ isWindow: false }), 400],
    ['nothing on the page tells a time', page({ oldest: null, newest: null }), 400],
  ])('is not where %s', (_, span, newest) => {
    expect(findGaps([span], known(newest))).toEqual([])
  })

  test('is found between two pages of one batch', () => {
    const pages = [page({}), page({ oldest: 1_500, newest: 1_900, fetchedAt: 2_000 })]
    expect(findGaps(pages, known(600))).toEqual([{ userId: '7', after: 900, before: 1_500 }])
  })

  test('is not hidden by the plays of another user', () => {
    const pages = [page({ userId: '8', size: 3, oldest: 700, newest: 900 }), page({})]
    expect(findGaps(pages, new Map([[1, 400]]))).toEqual([{ userId: '7', after: 400, before: 500 }])
  })

  test('is not found where pages overlap although late plays came between', () => {
    // Offline plays of 100 to 300 turn up after those of 500 to 900: the window reaches further back.
    const pages = [page({}), page({ oldest: 100, newest: 950, fetchedAt: 2_000 })]
    expect(findGaps(pages, known(600))).toEqual([])
  })
})

describe('a page shows everything of a stretch', () => {
  test('when its window is full', () => {
    expect(shownStretch(page({}))).toEqual({ userId: '7', oldest: 500, newest: 900 })
  })
  test('not when it is short: the feed may be behind', () => {
    expect(shownStretch(page({ size: 43 }))).toBeNull()
  })
})
