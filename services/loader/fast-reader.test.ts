import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { item, pageBody, pageRecord, track } from '../../test/support/pages.ts'
import { FastReader } from './fast-reader.ts'
import { KnownTracks } from './known-tracks.ts'
import type { PageReader } from './page-reader.ts'
import { plainReader } from './page-reader.ts'
import type { ShownPage } from './shown-page.ts'

const fetchedAt = Date.parse('2026-11-24T12:00:00.000Z')
const at = (n: number) => fetchedAt - n * 60_000

describe('a page is read the same', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }).map((s) => s.toWellFormed().replaceAll(/\p{Cc}/gu, '')),
    fc.constantFrom('é', 'Ärger', '日本の歌', '“Live”', 'a"b\\c', '😀', '\u0080', 'Ã©', ''),
  )
  const anyTrack = fc.record({ name: text, uri: text, album: text, artist: text, isrc: text }).map((t) =>
    track('x', {
      id: null,
      uri: `spotify:local:${t.uri}`,
      name: t.name,
      album: {
        id: t.album,
        name: t.album,
        album_type: t.name,
        release_date: t.isrc,
        images: [{ url: t.uri }],
      },
      artists: [{ id: t.artist, name: t.artist }],
      external_ids: { isrc: t.isrc },
    }),
  )
  const anyItem = fc.record({
    track: fc.oneof({ weight: 9, arbitrary: anyTrack }, { weight: 1, arbitrary: fc.constant(null) }),
    played_at: fc.constantFrom(...[1, 2, 3].map((n) => new Date(at(n)).toISOString())),
    context: fc.record({ type: text, uri: text }),
  })
  /** What a reader reads from a body. */
  const readBy = (reader: PageReader, body: Buffer) =>
    reader.read(pageRecord([], { fetchedAt, value: { body } }))
  const expectSame = (body: Buffer, tracks = new KnownTracks()) =>
    expect(readBy(new FastReader({ tracks }), body)).toStrictEqual(readBy(plainReader(), body))

  test('whether its bytes are taken for Latin-1 or decoded first', () => {
    fc.assert(
      fc.property(fc.array(anyItem, { maxLength: 5 }), (items) => {
        const body = Buffer.from(JSON.stringify({ items }))
        expectSame(body)
      }),
    )
  })

  test('even where its bytes are no UTF-8', () => {
    fc.assert(
      fc.property(
        fc.array(anyItem, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        fc.nat(255),
        (items, where, byte) => {
          const body = Buffer.from(JSON.stringify({ items }))
          body[1 + (where % (body.length - 1))] = byte
          fc.pre(!body.includes('\\u'))
          expectSame(body)
        },
      ),
      { numRuns: 1_000 },
    )
  })

  test('whatever is left out of it or put in, and whatever tracks were shown before', () => {
    const tracks = new KnownTracks()
    const twoItems = [item(at(1), 'Blackbird'), item(at(2), 'Julia')]
    const parts = [
      '{"track":',
      '{"id":"a"}',
      ',"played_at":"',
      '"track":null,',
      '"',
      '\\',
      '{',
      '}',
      ',',
      '[',
      '5',
    ]
    const splice = fc.record({
      where: fc.nat(),
      less: fc.nat(9),
      more: fc.array(fc.constantFrom(...parts), { maxLength: 3 }),
    })
    fc.assert(
      fc.property(fc.array(splice, { maxLength: 3 }), (splices) => {
        let text = JSON.stringify({ items: twoItems })
        for (const { where, less, more } of splices) {
          const place = 1 + (where % (text.length - 1))
          text = text.slice(0, place) + more.join('') + text.slice(place + less)
        }
        const body = Buffer.from(text)
        expectSame(body, tracks)
      }),
      { numRuns: 1_000 },
    )
  })

  test('with an item that cannot be told: what is said of it shows its own characters', () => {
    const bad = { ...item(at(1), 'Ärger „日本“'), played_at: 'gestern' }
    const page = new FastReader({ tracks: new KnownTracks() }).read(pageRecord([bad], { fetchedAt }))
    expect(page).toMatchObject({ items: [{ type: 'rejected', trackName: 'Ärger „日本“' }] })
  })
})

describe('pages in a row are read the same', () => {
  /** Items, newest first; the first one was played `newest` minutes before noon. */
  const items = (newest: number, count: number) =>
    Array.from({ length: count }, (_, i) => item(at(newest + i), `Song ${(newest + i) % 7}`))
  /** Null four times out of five. */
  const sometimes = <T>(arbitrary: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary })
  /** A user's windows, one after another; some have a changed byte, or a list twice. */
  const windows = fc.array(
    fc.record({
      moved: fc.nat(6),
      size: fc.integer({ min: 1, max: 8 }),
      // A page that was fetched earlier, or on another day, is read in full.
      hours: fc.constantFrom(0, 0, 0, 0, 1, 9),
      spoilt: sometimes(fc.record({ where: fc.nat(), byte: fc.nat(255) })),
      odd: sometimes(fc.constantFrom({ type: 'episode' }, { id: null, uri: null }, { name: 'Ärger \u0001' })),
      end: fc.constantFrom('', '', '', ',"items":[]', ',"it\\u0065ms":[]', ',"items":null', ',"list":[1]'),
    }),
    { minLength: 2, maxLength: 6 },
  )

  function toRecords(steps: typeof windows extends fc.Arbitrary<infer T> ? T : never) {
    let newest = 0
    return steps.map(({ moved, size, hours, spoilt, odd, end }, offset) => {
      newest -= moved
      const list = items(newest, size)
      if (odd) list[0] = item(at(newest), 'Odd', { track: track('Odd', odd) })
      const body = Buffer.from(`${pageBody(list).toString().slice(0, -1)}${end}}`)
      if (spoilt) body[spoilt.where % body.length] = spoilt.byte
      return pageRecord([], { fetchedAt: fetchedAt + hours * 3_600_000, offset, value: { body } })
    })
  }

  test('with what is known of the pages before as without, in one batch or in a batch each', () => {
    let repeats = 0
    fc.assert(
      fc.property(windows, fc.boolean(), (steps, isOneBatch) => {
        const records = toRecords(steps)
        const memory = new Map<string, ShownPage>()
        const tracks = new KnownTracks()
        const open = () => new FastReader({ tracks, stored: (userId) => memory.get(userId) })
        let fast = open()
        const stored = new Set<string>()
        for (const record of records) {
          const plain = plainReader().read(record)
          const page = fast.read(record)
          if (page.type !== 'page') {
            expect(page).toStrictEqual(plain)
            continue
          }
          expect({ ...page, stored: 0 }).toStrictEqual(plain)
          repeats += page.stored
          const keys = page.items.map((i) => (i.type === 'play' ? `${i.playedAt} ${i.track.id}` : ''))
          const repeated = keys.slice(page.items.length - page.stored)
          expect(repeated.filter((key) => !stored.has(key))).toEqual([])
          for (const key of keys) stored.add(key)
          if (isOneBatch) continue
          for (const [userId, shown] of fast.shown) memory.set(userId, shown)
          fast = open()
        }
      }),
      { numRuns: 300 },
    )
    expect(repeats).toBeGreaterThan(0)
  })

  test('also where a page has two lists of items: the last one counts, as for JSON.parse', () => {
    const first = pageRecord(items(0, 3), { fetchedAt })
    const twice = `${pageBody(items(0, 3)).toString().slice(0, -1)},"items":[]}`
    const second = pageRecord([], { fetchedAt, offset: 1, value: { body: Buffer.from(twice) } })
    const fast = new FastReader({ tracks: new KnownTracks() })
    fast.read(first)
    expect(fast.read(second)).toMatchObject({ page: { size: 0 }, items: [], stored: 0 })
  })

  test('and what was read beyond the page before says when a page was last read in full', () => {
    const fast = new FastReader({ tracks: new KnownTracks() })
    const fullAt = [0, 1, 2].map((n) => {
      expect(fast.read(pageRecord(items(-n, 5), { fetchedAt: fetchedAt + n, offset: n }))).toMatchObject({
        stored: n === 0 ? 0 : 4,
      })
      return fast.shown.get('7')?.fullAt
    })
    expect(new Set(fullAt).size).toBe(1)
  })
})
