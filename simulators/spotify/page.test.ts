import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type PageItem, type PageQuery, sliceWindow, toPageBody, toPageQuery } from './page.ts'

const base = 'http://127.0.0.1/v1/me/player/recently-played'
const window = Array.from({ length: 50 }, (_, place) => toItem(1_000_000 - place * 1_000))

test('cursors are exclusive and only slice the window', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.nat(49), fc.boolean(), (limit, place, isAfter) => {
      const cursor = window[place]?.at ?? 0
      const query = { limit, after: isAfter ? cursor : null, before: isAfter ? null : cursor }
      const slice = sliceWindow(window, query)
      expect(slice.length).toBe(Math.min(limit, isAfter ? place : 49 - place))
      for (const { at } of slice) expect(isAfter ? at > cursor : at < cursor).toBe(true)
    }),
  )
})

test('next goes back in time without a cursor and with before, forward with after', () => {
  expect(read({ limit: 2, after: null, before: null })).toMatchObject({
    next: `${base}?before=999000&limit=2`,
    cursors: { after: '1000000', before: '999000' },
    href: `${base}?limit=2`,
  })
  expect(read({ limit: 2, after: null, before: 999_000 })).toMatchObject({
    next: `${base}?before=997000&limit=2`,
  })
  expect(read({ limit: 2, after: 998_000, before: null })).toMatchObject({
    next: `${base}?after=1000000&limit=2`,
  })
})

test('an empty page has neither cursors nor next', () => {
  const href = `${base}?after=1000000&limit=50`
  expect(read({ limit: 50, after: 1_000_000, before: null })).toEqual({
    items: [],
    next: null,
    cursors: null,
    limit: 50,
    href,
  })
})

test('a huge page has two megabytes and all its items', () => {
  const body = toPageBody(window, {
    query: { limit: 50, after: null, before: null },
    base,
    oddity: 'huge_page',
  })
  expect(body.length).toBeGreaterThan(2_000_000)
  expect(JSON.parse(body.toString()).items).toHaveLength(50)
})

test.each([
  [{}, { type: 'query', query: { limit: 20, after: null, before: null } }],
  [
    { limit: '50', after: '12' },
    { type: 'query', query: { limit: 50, after: 12, before: null } },
  ],
  [{ limit: '0' }, { type: 'invalid', message: 'Invalid limit' }],
  [{ limit: '51' }, { type: 'invalid', message: 'Invalid limit' }],
  [{ limit: 'x' }, { type: 'invalid', message: 'Invalid limit' }],
  [{ after: 'x' }, { type: 'invalid', message: 'Invalid after' }],
  [
    { after: '1', before: '2' },
    { type: 'invalid', message: 'Only one of before or after is allowed' },
  ],
])('the query %j reads as %j', (raw, result) => {
  expect(toPageQuery(raw)).toEqual(result)
})

function read(query: PageQuery): unknown {
  return JSON.parse(toPageBody(sliceWindow(window, query), { query, base, oddity: null }).toString())
}

function toItem(at: number): PageItem {
  const playedAt = new Date(at).toISOString()
  return {
    json: Buffer.from(JSON.stringify({ played_at: playedAt })),
    playedAt,
    trackId: 'x',
    trackUri: null,
    oddity: null,
    at,
  }
}
