import { expect, test } from 'vitest'
import type { PlayLine } from '../account/play-line.ts'
import { parsePlayLine } from '../account/play-line.ts'
import { toFacts } from './play-facts.ts'
import { toPages } from './play-pages.ts'

function play(minute: number, over: Partial<PlayLine> = {}): PlayLine {
  return {
    userId: '7',
    playedAt: new Date(Date.UTC(2026, 10, 24, 8, minute)).toISOString(),
    track: { id: `t${minute}`, name: 'T' },
    context: null,
    source: 'poll',
    page: { partition: 3, offset: 12 },
    ingestedAt: '2026-11-24T09:00:00.000Z',
    ...over,
  }
}
const sizes = (plays: PlayLine[]) => toPages(plays, 't').map((p) => itemsOf(p).length)
const itemsOf = (page: ReturnType<typeof toPages>[number]): unknown[] =>
  page.decoded.type === 'value' ? JSON.parse(page.decoded.value.body.toString()).items : []

test('plays of one page become one page, under its place', () => {
  const [page] = toPages([play(1), play(2)], 't')
  expect(page).toMatchObject({ topic: 't', partition: 3, offset: 12, key: Buffer.from('7') })
  expect(page && itemsOf(page)).toEqual([
    { track: { id: 't1' }, played_at: '2026-11-24T08:01:00.000Z', context: null },
    { track: { id: 't2' }, played_at: '2026-11-24T08:02:00.000Z', context: null },
  ])
})

test('what a line says of its track is as old as it says, and no younger than the play in older exports', () => {
  const facts = (over: Partial<PlayLine>) => toFacts([play(1, over)]).tracks.map((t) => t.fetchedAt)
  expect(facts({ fetchedAt: '2024-01-01T00:00:00.000Z' })).toEqual([Date.UTC(2024, 0, 1)])
  expect(facts({})).toEqual([Date.UTC(2026, 10, 24, 8, 1)])
  expect(facts({ fetchedAt: null })).toEqual([])
})

test('another user, source or page begins a page; none has the 50 items that could reveal a gap', () => {
  expect(sizes([play(1), play(2, { userId: '8' }), play(3, { userId: '8', source: 'import' })])).toEqual([
    1, 1, 1,
  ])
  expect(sizes([play(1), play(2, { page: { partition: 3, offset: 13 } })])).toEqual([1, 1])
  expect(sizes(Array.from({ length: 100 }, (_, i) => play(i % 60)))).toEqual([49, 49, 2])
})

test('a line reads back as what was written; what is wrong with others is named', () => {
  expect(parsePlayLine(JSON.stringify(play(1)))).toEqual({ type: 'play', play: play(1) })
  expect(parsePlayLine('{')).toEqual({ type: 'fault', reason: 'is no JSON' })
  const bad = parsePlayLine(JSON.stringify({ ...play(1), playedAt: 'noon' }))
  expect(bad).toMatchObject({ type: 'fault', reason: expect.stringContaining('playedAt') })
})
