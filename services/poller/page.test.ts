import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { summarise } from './page.ts'

const now = Date.parse('2026-11-24T12:00:00.000Z')
const at = (minutesAgo: number) => new Date(now - minutesAgo * 60_000).toISOString()
const item = (minutesAgo: number, id: unknown = 'track', more: object = {}) => ({
  track: { id, uri: `spotify:track:${id}`, name: 'x', ...more },
  played_at: at(minutesAgo),
  context: null,
})
const digest = (...items: unknown[]) => summarise({ items }, now).digest

describe('the digest', () => {
  test('is that of the set of plays: their order does not matter', () => {
    const items = [item(1, 'a'), item(2, 'b'), item(3, 'c'), { odd: true }, null]
    fc.assert(
      fc.property(fc.shuffledSubarray(items, { minLength: items.length }), (shuffled) => {
        expect(digest(...shuffled)).toBe(digest(...items))
      }),
    )
  })

  test('does not change with what is not the play: popularity, cursors, names', () => {
    const one = summarise({ items: [item(1, 'a', { popularity: 3 })], cursors: null }, now)
    const other = summarise(
      { items: [item(1, 'a', { popularity: 4 })], cursors: { after: '1' }, next: 'x' },
      now,
    )
    expect(one.digest).toBe(other.digest)
  })

  test('changes with every play that comes or goes', () => {
    const all = [
      digest(),
      digest(item(1, 'a')),
      digest(item(1, 'b')),
      digest(item(2, 'a')),
      digest(item(1, 'a'), item(2, 'a')),
      digest(item(1, 'a'), item(1, 'a')),
      digest(item(1, 'a'), item(1, 'b')),
    ]
    expect(new Set(all).size).toBe(all.length)
  })

  test('tells local files apart by their uri and null tracks by their time', () => {
    const local = (uri: string) => ({ track: { id: null, uri }, played_at: at(1) })
    expect(digest(local('spotify:local:a'))).not.toBe(digest(local('spotify:local:b')))
    expect(digest({ track: null, played_at: at(1) })).not.toBe(digest({ track: null, played_at: at(2) }))
  })

  test('an item without played_at counts with all of its JSON', () => {
    const odd = (name: string) => ({ track: { id: 'a', name } })
    expect(digest(odd('a'))).not.toBe(digest(odd('b')))
    expect(digest(odd('a'))).not.toBe(digest())
  })

  test('of an empty page is always the same', () => {
    expect(summarise({ items: [], cursors: null, next: null }, now)).toEqual({
      digest: digest(),
      count: 0,
      playedAt: [],
    })
  })
})

test('JSON that is no page has a digest all the same, and no count', () => {
  const summaries = [
    null,
    42,
    'text',
    [],
    {},
    { items: null },
    { items: {} },
    { error: { status: 500 } },
  ].map((json) => summarise(json, now))
  expect(summaries.map((s) => s.count)).toEqual(summaries.map(() => null))
  expect(new Set(summaries.map((s) => s.digest)).size).toBe(summaries.length)
})

test('times are newest first, without those that cannot be read or lie in the future', () => {
  const times = [item(-60), item(3), item(1), { played_at: 'yesterday' }, { played_at: 5 }, item(2)]
  expect(summarise({ items: times }, now).playedAt).toEqual([1, 2, 3].map((m) => now - m * 60_000))
})

test('a clock a little ahead still tells the newest play', () => {
  expect(summarise({ items: [item(-1)] }, now).playedAt).toEqual([now + 60_000])
})

test('no JSON makes it throw', () => {
  fc.assert(fc.property(fc.jsonValue(), (json) => void summarise(json, now)))
  fc.assert(fc.property(fc.array(fc.jsonValue()), (items) => void summarise({ items }, now)))
})
