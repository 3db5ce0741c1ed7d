import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  entityRecord,
  idFor,
  item,
  localFile,
  pageRecord,
  simpleArtist,
  track,
} from '../../test/support/pages.ts'
import { toEntities } from './entities.ts'
import { toHistory } from './transform.ts'

const fetchedAt = Date.parse('2026-11-24T12:00:00.000Z')
const at = (n: number) => fetchedAt - n * 60_000
const one = (raw: unknown) => toHistory([pageRecord([raw], { fetchedAt })])

describe('records that are no pages', () => {
  test.each([
    ['invalid_key', pageRecord([], { fetchedAt, key: null })],
    ['invalid_key', pageRecord([], { fetchedAt, user: 'alice' })],
    ['invalid_key', pageRecord([], { fetchedAt, user: '007' })],
    ['invalid_key', pageRecord([], { fetchedAt, user: '99999999999999999999' })],
    ['invalid_key', pageRecord([], { fetchedAt, user: 7, key: '8' })],
    ['invalid_record', pageRecord([], { fetchedAt, value: { endpoint: 'track' } })],
    ['invalid_record', pageRecord([], { fetchedAt: -1 })],
    ['unexpected_status', pageRecord([], { fetchedAt, value: { status: 204, body: Buffer.alloc(0) } })],
    ['invalid_json', pageRecord([], { fetchedAt, value: { body: Buffer.from('{"items":[{"tra') } })],
    ['invalid_json', pageRecord([], { fetchedAt, value: { body: Buffer.alloc(0) } })],
    ['invalid_page', pageRecord([], { fetchedAt, value: { body: Buffer.from('{"error":{}}') } })],
    ['invalid_page', pageRecord([], { fetchedAt, value: { body: Buffer.from('[]') } })],
  ])('become a dead letter: %s', (reason, record) => {
    const batch = toHistory([record])
    expect(batch.deadLetters).toEqual([{ record, reason, message: expect.any(String) }])
    expect(batch.counts.items).toBe(0)
  })

  test('do not keep their neighbours back', () => {
    const bad = pageRecord([], { fetchedAt, key: null })
    const batch = toHistory([bad, pageRecord([item(at(1), 'Blackbird')], { fetchedAt, offset: 1 })])
    expect(batch.plays).toHaveLength(1)
  })
})

test('plays are in the order of the database: users as numbers', () => {
  const users = [10, 9, 100, 11]
  const batch = toHistory(
    users.map((user, offset) => pageRecord([item(at(1), 'Blackbird')], { fetchedAt, user, offset })),
  )
  expect(batch.plays.map(({ userId }) => userId)).toEqual(['9', '10', '11', '100'])
})

describe('a page', () => {
  test('that is empty becomes nothing at all', () => {
    const batch = toHistory([pageRecord([], { fetchedAt })])
    expect(batch).toMatchObject({ plays: [], deadLetters: [], rejected: [], counts: { items: 0 } })
  })

  test('of two megabytes is read like any other', () => {
    const batch = one(item(at(1), 'Blackbird', { x_padding: 'x'.repeat(2_000_000) }))
    expect(batch.counts).toMatchObject({ items: 1, plays: 1 })
  })

  test('that was restored keeps the place it had', () => {
    const headers = [
      { name: 'restore.partition', value: Buffer.from('5') },
      { name: 'restore.offset', value: Buffer.from('1234') },
    ]
    const batch = toHistory([pageRecord([item(at(1), 'Blackbird')], { fetchedAt, headers })])
    expect(batch.plays[0]).toMatchObject({ partition: 5, offset: 1_234 })
  })
})

describe('plays', () => {
  test('of two tracks in one millisecond are two', () => {
    const batch = toHistory([pageRecord([item(at(1), 'Blackbird'), item(at(1), 'Yesterday')], { fetchedAt })])
    expect(batch.plays).toHaveLength(2)
  })

  test('of the same track one after another are two', () => {
    const batch = toHistory([pageRecord([item(at(1), 'Blackbird'), item(at(4), 'Blackbird')], { fetchedAt })])
    expect(batch.plays).toHaveLength(2)
    expect(batch.seen.toCatalogue().tracks).toHaveLength(1)
  })

  test('that two pages show are one, of the first page', () => {
    const batch = toHistory([
      pageRecord([item(at(1), 'Blackbird')], { fetchedAt, offset: 3 }),
      pageRecord([item(at(1), 'Blackbird')], { fetchedAt: fetchedAt + 1, offset: 4 }),
    ])
    expect(batch.counts).toMatchObject({ items: 2, plays: 2 })
    expect(batch.plays).toEqual([expect.objectContaining({ offset: 3 })])
  })

  test('without a context have none', () => {
    expect(one(item(at(1), 'Blackbird')).plays[0]).toMatchObject({ contextType: null, contextUri: null })
    const context = { type: 'album', uri: 'spotify:album:x' }
    expect(one(item(at(1), 'Blackbird', { context })).plays[0]).toMatchObject({
      contextType: 'album',
      contextUri: 'spotify:album:x',
    })
  })
})

describe('the catalogue', () => {
  test.each([
    ['NUL', 'Black\0bird', 'Black\uFFFDbird'],
    ['half a surrogate pair', 'Black \ud83d', 'Black \uFFFD'],
    ['400 characters', `${'Ä'.repeat(400)}`, 'Ä'.repeat(400)],
  ])('holds a name with %s in a form that can be stored', (_, name, stored) => {
    const artist = { ...simpleArtist('A'), name }
    const odd = { ...track('Blackbird'), name, artists: [artist], album: { id: 'b', name, images: [] } }
    const catalogue = one({ ...item(at(1), 'Blackbird'), track: odd }).seen.toCatalogue()
    expect(catalogue.tracks[0]?.name).toBe(stored)
    expect(catalogue.artists[0]?.name).toBe(stored)
    expect(catalogue.albums[0]).toMatchObject({ name: stored, images: '[]' })
  })

  test('leaves out what Development Mode does not show', () => {
    const { popularity: _, external_ids: __, ...bare } = track('Blackbird')
    const catalogue = one({ ...item(at(1), 'Blackbird'), track: bare }).seen.toCatalogue()
    expect(catalogue.trackPopularity).toEqual([])
    expect(catalogue.tracks[0]).toMatchObject({ isrc: undefined, name: 'Blackbird' })
  })

  test('of a local file has its track, its artist by name, and no album', () => {
    const catalogue = one({ ...item(at(1), 'x'), track: localFile('Demo') }).seen.toCatalogue()
    const artistId = 'name:Home Recordings'
    expect(catalogue).toMatchObject({ albums: [], artists: [{ id: artistId, name: 'Home Recordings' }] })
    expect(catalogue.tracks).toMatchObject([
      { id: 'spotify:local:Home:Tapes:Demo:12', albumId: null, artistIds: [artistId] },
    ])
  })

  test('takes the newest version of a track, and never an empty one for a full one', () => {
    const versions = [
      ['Blackbird', 1],
      ['Blackbird (Remaster)', 3],
      ['Blackbird (Old)', 2],
      ['', 4],
    ] as const
    const records = versions.map(([name, time]) => {
      return pageRecord([item(at(1), 'Blackbird', { track: { ...track('Blackbird'), name } })], {
        fetchedAt: fetchedAt + time,
      })
    })
    const { tracks } = toHistory(records).seen.toCatalogue()
    expect(tracks).toMatchObject([{ name: 'Blackbird (Remaster)', fetchedAt: fetchedAt + 3 }])
  })

  test('keeps one popularity a day, the last', () => {
    const day = 86_400_000
    const records = [
      [1, 10],
      [3, 30],
      [2, 20],
      [day, 40],
    ].map(([time = 0, popularity]) =>
      pageRecord([item(at(1), 'x', { track: track('x', { popularity }) })], { fetchedAt: fetchedAt + time }),
    )
    const { trackPopularity } = toHistory(records).seen.toCatalogue()
    expect(trackPopularity.map((o) => [o.day, o.value])).toEqual([
      ['2026-11-24', 30],
      ['2026-11-25', 40],
    ])
  })

  test('cuts an id that no index can hold, and keeps it distinct', () => {
    const long = (end: string) => ({
      id: null,
      uri: `spotify:local:${'%E3%81%82'.repeat(500)}${end}`,
      name: 'x',
    })
    const batch = toHistory([
      pageRecord([item(at(1), 'x', { track: long('a') }), item(at(2), 'x', { track: long('b') })], {
        fetchedAt,
      }),
    ])
    const ids = batch.plays.map((p) => p.trackId)
    expect(new Set(ids).size).toBe(2)
    for (const id of ids) expect(Buffer.byteLength(id)).toBeLessThan(1_000)
  })
})

describe('accounting', () => {
  test('every item of any page ends once: a play, a drop or a rejection', () => {
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom(
        item(at(1), 'Blackbird'),
        item(at(2), 'Yesterday'),
        { ...item(at(3), 'x'), track: null },
        { track: track('x') },
        { ...item(at(4), 'x'), track: localFile('Demo') },
      ),
    )
    fc.assert(
      fc.property(fc.array(fc.array(anything, { maxLength: 20 }), { maxLength: 5 }), (pages) => {
        const batch = toHistory(pages.map((items, offset) => pageRecord(items, { fetchedAt, offset })))
        const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0)
        const { items, plays, dropped, rejected } = batch.counts
        expect(items).toBe(pages.flat().length)
        expect(plays + sum(dropped) + sum(rejected)).toBe(items)
        expect(batch.plays.length).toBeLessThanOrEqual(plays)
        expect(batch.rejected).toHaveLength(sum(rejected))
      }),
    )
  })
})

describe('metadata answers', () => {
  const artistId = idFor('Nina')
  const artist = {
    ...simpleArtist('Nina'),
    images: [],
    genres: ['soul'],
    followers: { total: 12 },
    popularity: 70,
  }

  test.each([
    ['unknown_kind', entityRecord('album', artistId, { fetchedAt, body: artist })],
    ['invalid_key', entityRecord('artist', artistId, { fetchedAt, body: artist, key: `track:${artistId}` })],
    ['invalid_record', entityRecord('artist', 'x'.repeat(2_000), { fetchedAt, body: artist })],
    ['unexpected_status', entityRecord('artist', artistId, { fetchedAt, body: artist, status: 403 })],
    ['invalid_json', entityRecord('artist', artistId, { fetchedAt, body: Buffer.from('{') })],
    ['invalid_entity', entityRecord('artist', artistId, { fetchedAt, body: null })],
    [
      'invalid_entity',
      entityRecord('audio-features', artistId, { fetchedAt, body: { error: { status: 403 } } }),
    ],
  ])('that are none become a dead letter: %s', (reason, record) => {
    expect(toEntities([record]).deadLetters).toEqual([{ record, reason, message: expect.any(String) }])
  })

  test('of 404 and 400 say that there is no such thing', () => {
    const batch = toEntities([
      entityRecord('artist', artistId, { fetchedAt, status: 404 }),
      entityRecord('track', artistId, { fetchedAt, status: 400 }),
    ])
    expect(batch.counts).toEqual({ found: 0, notFound: 2 })
    const catalogue = batch.seen.toCatalogue()
    expect(catalogue.artists).toMatchObject([{ metadata: 'not_found', name: '' }])
    expect(catalogue.tracks).toMatchObject([{ metadata: 'not_found', name: '' }])
  })

  test('tell unknown genres from none', () => {
    const { genres: _, followers: __, popularity: ___, ...bare } = artist
    const of = (body: object) =>
      toEntities([entityRecord('artist', artistId, { fetchedAt, body })]).seen.toCatalogue()
    expect(of(bare)).toMatchObject({
      artists: [{ genres: undefined }],
      artistFollowers: [],
      artistPopularity: [],
    })
    expect(of({ ...bare, genres: [] })).toMatchObject({ artists: [{ genres: [] }] })
    expect(of(artist)).toMatchObject({
      artists: [{ genres: ['soul'], metadata: 'found' }],
      artistFollowers: [{ value: 12 }],
      artistPopularity: [{ value: 70 }],
    })
  })

  test('keep the id that was asked for when Spotify answers with another', () => {
    const body = { ...track('Replacement') }
    const { seen } = toEntities([entityRecord('track', idFor('Asked'), { fetchedAt, body })])
    expect(seen.toCatalogue().tracks).toMatchObject([
      { id: idFor('Asked'), name: 'Replacement', metadata: 'found' },
    ])
  })

  test('of audio features keep numbers that their columns can hold, and the provider', () => {
    const body = { danceability: 0.5, key: -1, mode: 1.5, tempo: 1e300, loudness: 'loud', energy: 1e-60 }
    const record = entityRecord('audio-features', artistId, { fetchedAt, body, provider: 'reccobeats' })
    const [row] = toEntities([record]).seen.toCatalogue().features
    expect(row).toMatchObject({
      provider: 'reccobeats',
      values: {
        danceability: 0.5,
        key: -1,
        mode: undefined,
        tempo: undefined,
        loudness: undefined,
        energy: 0,
        time_signature: undefined,
      },
    })
  })
})
