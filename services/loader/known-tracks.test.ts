import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KnownTracks } from './known-tracks.ts'
import type { SeenTrack } from './seen-track.ts'

/** JSON of a track as Spotify writes it; `popularity` is the text in place of the number. */
const trackJson = (
  popularity: string,
  over: { id?: string; name?: string; album?: string; isAlbumLast?: boolean } = {},
) => {
  const { id = 'T', name = '"A name"', album = '{"name":"An album"}', isAlbumLast = false } = over
  const [first, last] = isAlbumLast ? ['', `"album":${album},`] : [`"album":${album},`, '']
  return `{${first}"name":${name},"popularity":${popularity},${last}"type":"track","uri":"spotify:track:${id}"}`
}
const pageOf = (tracks: readonly string[]) =>
  Buffer.from(
    `{"items":[${tracks.map((track) => `{"track":${track},"played_at":"2026-11-24T08:15:00.000Z"}`).join(',')}]}`,
  )

/** The readings of the tracks of a page, or that it is not JSON. */
function outcome(known: KnownTracks, page: Buffer): unknown {
  try {
    const { json, track } = known.parse(page, '')
    return (json as { items: { track: unknown }[] }).items.map((item) => track(item.track))
  } catch (error) {
    if (error instanceof SyntaxError) return 'no JSON'
    throw error
  }
}

const tracksOf = (known: KnownTracks, page: Buffer) =>
  (outcome(known, page) as { track: SeenTrack }[]).map(({ track }) => track)

describe('a track of which only the popularity has changed', () => {
  test('is not parsed again, and has the popularity that the page shows', () => {
    const known = new KnownTracks()
    const [first] = tracksOf(known, pageOf([trackJson('70')]))
    const later = tracksOf(known, pageOf(['0', '7', '70', '100'].map((n) => trackJson(n))))
    expect(later.map(({ popularity }) => popularity)).toEqual([0, 7, 70, 100])
    for (const { album } of later) expect(album).toBe(first?.album)
  })

  test('is the same object for the same popularity: what is known of it is not looked up again', () => {
    const known = new KnownTracks()
    const page = pageOf(['1', '2', '1', '2'].map((n) => trackJson(n)))
    const [, , ...later] = tracksOf(known, page)
    const again = tracksOf(known, page)
    expect(again[0]).toBe(later[0])
    expect(again[2]).toBe(later[0])
    expect(again[3]).toBe(later[1])
    expect(again[2]).not.toBe(again[3])
  })

  test('goes on being read when more are shown than are kept', () => {
    const known = new KnownTracks()
    const all = Array.from({ length: 101 }, (_, n) => n)
    const read = tracksOf(known, pageOf([...all, ...all].map((n) => trackJson(String(n)))))
    expect(read.map(({ popularity }) => popularity)).toEqual([...all, ...all])
  })
})

/** Valid and invalid JSON numbers in place of a popularity. */
const number = fc.constantFrom(
  ...[
    '0',
    '7',
    '07',
    '70',
    '71',
    '100',
    '999',
    '1000',
    '-1',
    '-70',
    '7.0',
    '7.5',
    '7e0',
    '7e1',
    '70e-1',
    '-0',
  ],
  ...['', ' 7', '7 ', 'null', '"7"', '[7]', '7,"popularity":8', '7,"popularity":"8"', '7}', '7]', '+7', '٧'],
  ...['7.00000000000000000001', '0.00000000000000000001'],
)
const name = fc.constantFrom(
  ...['"A name"', '"Ein Stück"', '"\\"popularity\\":7"', '"x","a\\"popularity":3', '"x","popularity":3'],
)
const album = fc.constantFrom(
  '{"name":"An album"}',
  '{"name":"An album","popularity":7}',
  '{"popularity":70}',
  '{"popularity":71}',
)
const track = fc
  .record({ popularity: number, name, album, id: fc.constantFrom('T', 'U'), isAlbumLast: fc.boolean() })
  .map(({ popularity, ...over }) => trackJson(popularity, over))
const page = fc.array(track, { maxLength: 4 }).map(pageOf)

test.each([
  [
    'an album has one behind it',
    (n: number) => trackJson('-1', { album: `{"popularity":${n}}`, isAlbumLast: true }),
  ],
  [
    'it is not written as Spotify does',
    (n: number) => `{"name":"abc${n}d","popularity" : -1,"type":"track","uri":"spotify:track:T"}`,
  ],
])('a number is not taken for the popularity where %s', (_where, json) => {
  const known = new KnownTracks()
  for (const n of [70, 71, 12, 13]) {
    const body = pageOf([json(n)])
    expect(outcome(known, body)).toEqual(outcome(new KnownTracks(), body))
  }
})

test('whatever stands for a popularity, a page is read as if no page had come before it', () => {
  fc.assert(
    fc.property(fc.array(page, { maxLength: 8 }), (pages) => {
      const known = new KnownTracks()
      for (const body of pages) expect(outcome(known, body)).toEqual(outcome(new KnownTracks(), body))
    }),
    { numRuns: 800 },
  )
})
