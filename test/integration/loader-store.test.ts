import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { isRecordFault } from '../../lib/errors.ts'
import type { DeadLetter } from '../../lib/kafka/dead-letter.ts'
import type { ValueRecord } from '../../lib/kafka/record.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres, toArray } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { historyHandler } from '../../services/loader/history.ts'
import { Memory } from '../../services/loader/memory.ts'
import { metadataHandler } from '../../services/loader/metadata.ts'
import type { Meanings } from '../../services/loader/said.ts'
import { meanings } from '../../services/loader/said.ts'
import { playOddities, trackOddities } from '../../simulators/spotify/oddities.ts'
import { type SpotifySimulator, startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import type { TestDatabase } from '../support/database.ts'
import { createDatabase } from '../support/database.ts'
import type { Json } from '../support/pages.ts'
import { entityRecord, idFor, item, localFile, pageRecord, simpleArtist, track } from '../support/pages.ts'

type Records = ValueRecord<SpotifyResponse>[]

const noon = Date.parse('2026-11-24T12:00:00.000Z')
const minute = 60_000
const at = (minutes: number) => noon + minutes * minute
const neverAborted = new AbortController().signal

let database: TestDatabase
let postgres: Postgres
/** A loader with its own memory, like a new process. */
let loader: ReturnType<typeof openLoader>

beforeAll(async () => {
  database = await createDatabase()
  postgres = database.openPostgres(4)
})
afterAll(async () => {
  await database.release()
})
beforeEach(async () => {
  await empty()
  loader = openLoader()
})

const tables = [
  'plays',
  'gaps',
  'shown_windows',
  'shown_items',
  'rejected_items',
  'albums',
  'tracks',
  'artists',
  'track_artists',
  'track_popularity',
  'artist_popularity',
  'artist_followers',
  'audio_features',
]

/** Deletes all rows, which is cheaper than truncating small tables. */
async function empty(): Promise<void> {
  await postgres.query(tables.map((table) => `delete from ${table}`).join('; '))
  await postgres.query('alter sequence gaps_id_seq restart')
}

function openLoader() {
  const options = { postgres, memory: new Memory(), onCommitted: () => undefined, log: database.log }
  const history = historyHandler(options)
  const metadata = metadataHandler(options)
  return {
    history: (records: Records): Promise<DeadLetter[]> => history(records)(neverAborted),
    metadata: (records: Records): Promise<DeadLetter[]> => metadata(records)(neverAborted),
  }
}

async function rows<T = Record<string, unknown>>(sql: string): Promise<T[]> {
  return (await postgres.query(sql)).rows as T[]
}

/** All rows of the tables without some columns, in a comparable form. */
async function contents(without: string[] = []): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {}
  for (const table of tables) {
    const sql = `select (to_jsonb(t) - $1::text[])::text as row from ${table} t order by 1`
    all[table] = (await postgres.query(sql, [without])).rows.map((r) => r.row)
  }
  return all
}

/** A full page of minutes `newest`, `newest - 1`, … as Spotify shows them: newest first. */
function fullPage(newest: number, options: { user?: number; offset?: number; fetchedAt?: number } = {}) {
  const items = Array.from({ length: 50 }, (_, i) => item(at(newest - i), `T${(newest - i + 5_000) % 90}`))
  return pageRecord(items, { fetchedAt: at(newest) + 1_000, ...options })
}

describe('each bad input has its place', () => {
  const play = item(at(0), 'Blackbird')
  const load = (raw: unknown) => loader.history([pageRecord([raw], { fetchedAt: at(1) })])

  test.each([
    ['NUL in names', 'Black\0bird', 'Black\uFFFDbird'],
    ['a lone surrogate in names', 'Black \ud83d', 'Black \uFFFD'],
    ['names of 400 characters', 'あ'.repeat(400), 'あ'.repeat(400)],
  ])('%s: the play counts, the names are stored as far as they can be', async (_, name, stored) => {
    const artists = [{ ...simpleArtist('A'), name }]
    const album = { id: 'b', name, album_type: name, release_date: name, images: [{ url: name }] }
    expect(await load({ ...play, track: { ...track('Blackbird'), name, artists, album } })).toEqual([])
    expect(await rows('select count(*)::int as n from plays')).toEqual([{ n: 1 }])
    for (const table of ['tracks', 'artists', 'albums']) {
      expect(await rows(`select name from ${table}`)).toEqual([{ name: stored }])
    }
  })

  test('NUL in contexts and ids: a row', async () => {
    const context = { type: 'a\0', uri: 'b\0' }
    await load({ ...play, context, track: track('x', { id: 'i\0' }) })
    expect(await rows('select track_id, context_uri from plays')).toEqual([
      { track_id: 'i\uFFFD', context_uri: 'b\uFFFD' },
    ])
  })

  test('a null track: a drop, and no dead letter', async () => {
    expect(await load({ ...play, track: null })).toEqual([])
    expect(await rows('select * from plays')).toEqual([])
    expect(await rows('select * from rejected_items')).toEqual([])
  })

  test('a local file: a row under its uri', async () => {
    await load({ ...play, track: localFile('Demo') })
    expect(await rows('select track_id from plays')).toEqual([
      { track_id: 'spotify:local:Home:Tapes:Demo:12' },
    ])
  })

  test('two plays in one millisecond: two rows', async () => {
    await loader.history([pageRecord([play, item(at(0), 'Yesterday')], { fetchedAt: at(1) })])
    expect(await rows('select count(*)::int as n from plays')).toEqual([{ n: 2 }])
  })

  test('three plays at one millisecond, one without milliseconds, a track again after 11 ms: a row each', async () => {
    const items = [
      ...['A', 'B', 'C'].map((name) => item(at(0), name)),
      ...[at(-5) + 11, at(-5)].map((ms) => item(ms, 'D')),
      { ...item(at(-9), 'E'), played_at: '2026-11-24T11:51:00Z' },
    ]
    await loader.history([pageRecord(items, { fetchedAt: at(1) })])
    expect(await rows('select count(*)::int as n from plays')).toEqual([{ n: 6 }])
    await openLoader().history([pageRecord(items, { fetchedAt: at(2), offset: 1 })])
    expect(await rows('select count(*)::int as n from plays')).toEqual([{ n: 6 }])
  })

  test('the same track twice in a row: two rows', async () => {
    await loader.history([pageRecord([play, item(at(-3), 'Blackbird')], { fetchedAt: at(1) })])
    expect(await rows('select count(*)::int as n from plays')).toEqual([{ n: 2 }])
  })

  test('missing popularity and external_ids, null context, empty images: a row with nulls', async () => {
    const { external_ids: _, ...bare } = track('Blackbird')
    await load({ ...play, track: { ...bare, album: { id: 'b', name: 'B', images: [] } } })
    expect(await rows('select context_type, context_uri from plays')).toEqual([
      { context_type: null, context_uri: null },
    ])
    expect(await rows('select isrc from tracks')).toEqual([{ isrc: null }])
    expect(await rows('select images, release_date from albums')).toEqual([
      { images: [], release_date: null },
    ])
    expect(await rows('select * from track_popularity')).toEqual([])
  })

  test('an item without played_at: rejected, its page a dead letter, its neighbours stored', async () => {
    const page = pageRecord([play, { track: track('Yesterday') }], { fetchedAt: at(1), offset: 4 })
    expect(await loader.history([page])).toEqual([
      {
        record: expect.objectContaining({ offset: 4 }),
        reason: 'rejected_item',
        message: '1 of 2 items cannot be told: items[1]: missing_played_at (track "Yesterday")',
      },
    ])
    expect(await rows('select track_id from plays')).toEqual([{ track_id: idFor('Blackbird') }])
    expect(await rows('select reason from rejected_items')).toEqual([{ reason: 'missing_played_at' }])
  })

  test('a play within the day ahead: a row; later than that: rejected', async () => {
    expect(await load(item(at(24 * 60), 'Soon'))).toEqual([])
    expect(await load(item(at(24 * 60 + 2), 'Later'))).toMatchObject([{ reason: 'rejected_item' }])
    expect(await rows('select track_id from plays')).toEqual([{ track_id: idFor('Soon') }])
  })

  test('truncated JSON: a dead letter, and the pages beside it are stored', async () => {
    const broken = pageRecord([], {
      fetchedAt: at(1),
      value: { body: Buffer.from('{"items":[{"track":{"id"') },
    })
    const letters = await loader.history([broken, pageRecord([play], { fetchedAt: at(1), offset: 1 })])
    expect(letters).toMatchObject([{ reason: 'invalid_json' }])
    expect(await rows('select count(*)::int as n from plays')).toEqual([{ n: 1 }])
  })

  test('an empty page, and one of two megabytes: nothing, and its rows', async () => {
    expect(await loader.history([pageRecord([], { fetchedAt: at(1) })])).toEqual([])
    expect(await load({ ...play, x_padding: 'x'.repeat(2_000_000) })).toEqual([])
    expect(await rows('select count(*)::int as n from plays')).toEqual([{ n: 1 }])
  })

  test('a user whom no table knows: rows', async () => {
    await loader.history([pageRecord([play], { fetchedAt: at(1), user: 424_242 })])
    expect(await rows('select user_id from plays')).toEqual([{ user_id: 424_242 }])
  })

  test('whatever JSON a page holds, the database takes what becomes of it', async () => {
    const odd = fc.oneof(
      fc.jsonValue(),
      fc.string({ unit: 'binary' }),
      fc.double({ noNaN: true }),
      fc.constantFrom(2 ** 31, -1, 1e308, '', '\0', '\ud800', 'x'.repeat(5_000)),
    )
    const fields = [
      'id',
      'uri',
      'name',
      'duration_ms',
      'explicit',
      'popularity',
      'artists',
      'album',
      'external_ids',
    ]
    const oddTrack = fc.record(Object.fromEntries(fields.map((f) => [f, odd])), { requiredKeys: [] })
    const oddArtist = fc.record({ id: odd, name: odd, uri: odd }, { requiredKeys: [] })
    const oddAlbum = fc.record({ id: odd, name: odd, images: fc.array(fc.record({ url: odd, height: odd })) })
    const oddItem = fc
      .tuple(oddTrack, fc.array(oddArtist, { maxLength: 3 }), oddAlbum, fc.nat(1_000), odd, odd)
      .map(([over, artists, album, minutes, type, uri]) => ({
        ...item(at(-minutes), 'x', { track: { ...track(`x${minutes}`), artists, album, ...over } }),
        context: { type, uri },
      }))
    await fc.assert(
      fc.asyncProperty(fc.array(oddItem, { minLength: 1, maxLength: 8 }), async (items) => {
        await openLoader().history([pageRecord(items, { fetchedAt: at(1) })])
      }),
      { numRuns: 100 },
    )
    await fc.assert(
      fc.asyncProperty(oddTrack, odd, odd, odd, async (body, genres, followers, feature) => {
        const artist = { ...body, name: 'x', genres: [genres], followers: { total: followers } }
        const features = { ...body, danceability: 0.5, key: feature, tempo: feature }
        await openLoader().metadata([
          entityRecord('track', 'x', { fetchedAt: at(1), body: { ...body, name: 'x' } }),
          entityRecord('artist', 'x', { fetchedAt: at(1), body: artist }),
          entityRecord('audio-features', 'x', { fetchedAt: at(1), body: features }),
        ])
      }),
      { numRuns: 100 },
    )
  })
})

describe('accounting and replays', () => {
  const bad = { track: track('Broken') }
  const batch = () => [
    pageRecord([item(at(0), 'A'), bad, { ...item(at(-2), 'x'), track: null }], {
      fetchedAt: at(1),
      offset: 0,
    }),
    pageRecord([item(at(3), 'B'), item(at(0), 'A'), bad], { fetchedAt: at(4), offset: 1 }),
    fullPage(200, { user: 8, offset: 2 }),
    fullPage(240, { user: 8, offset: 3 }),
    fullPage(400, { user: 8, offset: 4 }),
  ]

  test('items = stored + duplicates + drops + rejected, and the plays are those of the pages', async () => {
    const lines: Record<string, number>[] = []
    const log = { info: (fields: Record<string, number>) => lines.push(fields) }
    const options = { postgres, memory: new Memory(), onCommitted: () => undefined, log: log as never }
    await historyHandler(options)(batch())(neverAborted)
    expect(lines).toMatchObject([
      {
        pages: 5,
        items: 156,
        stored: 2 + 50 + 40 + 50,
        duplicates: 1 + 10,
        dropped: 1,
        rejected: 2,
        gaps: 1,
      },
    ])
    expect(await rows('select count(*)::int as n from plays')).toEqual([{ n: 142 }])
  })

  test('a replay changes nothing, in whatever batches and whichever process', async () => {
    await loader.history(batch())
    await loader.metadata([
      entityRecord('artist', idFor('Artist of A'), {
        fetchedAt: at(10),
        body: { ...simpleArtist('Artist of A'), genres: ['folk'], followers: { total: 1 }, popularity: 3 },
      }),
      entityRecord('audio-features', idFor('A'), { fetchedAt: at(10), body: { tempo: 120 } }),
      entityRecord('audio-features', idFor('B'), { fetchedAt: at(10), status: 404 }),
    ])
    const before = await contents()
    const restarted = openLoader()
    await restarted.history(batch())
    await restarted.history(batch())
    for (const record of batch()) await openLoader().history([record])
    await openLoader().history(batch().slice(2))
    expect(await contents()).toEqual(before)
  })

  test('batches do not change what is stored', async () => {
    // Unchanged rows are not written again, so fetched_at is the time of any of their sightings.
    const times = ['ingested_at', 'detected_at', 'first_seen_at', 'fetched_at', 'observed_at']
    await loader.history(batch())
    const whole = await contents(times)
    await empty()
    const other = openLoader()
    for (const record of batch()) await other.history([record])
    expect(await contents(times)).toEqual(whole)
  })

  test('a batch that fails in the middle leaves nothing behind', async () => {
    await postgres.query('alter table plays add constraint no_more check (user_id <> 8)')
    await expect(loader.history(batch())).rejects.toThrow('no_more')
    expect(await rows('select * from tracks')).toEqual([])
    await postgres.query('alter table plays drop constraint no_more')
    await loader.history(batch())
    // The memory does not hold rows of the failed attempt.
    expect(await rows('select count(distinct track_id)::int as n from plays')).toEqual(
      await rows('select count(*)::int as n from tracks'),
    )
  })

  test('an outage of the database is thrown as one, and the batch is stored when it is over', async () => {
    const url = new Secret('postgres://nobody:x@127.0.0.1:1/nothing')
    const away = openPostgres({ url, connections: 1, name: 'test', log: database.log })
    const memory = new Memory()
    const options = { memory, onCommitted: () => undefined, log: database.log }
    const failure = historyHandler({ ...options, postgres: away })(batch())(neverAborted).catch((e) => e)
    expect(isRecordFault(await failure)).toBe(false)
    await historyHandler({ ...options, postgres })(batch())(neverAborted)
    expect(await rows('select count(*)::int as n from plays')).toEqual([{ n: 142 }])
    await away.close()
  })

  test('milliseconds are kept to the last one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 4_102_444_800_000 }), { minLength: 1 }),
        async (times) => {
          await empty()
          await openLoader().history([
            pageRecord(
              times.map((t) => item(t, 'x')),
              { fetchedAt: 4_102_444_800_000 },
            ),
          ])
          const stored = await rows<{ played_at: Date }>('select played_at from plays order by 1')
          const expected = [...new Set(times)].sort((a, b) => a - b)
          expect(stored.map((r) => r.played_at.getTime())).toEqual(expected)
          expect(
            await rows("select 1 from plays where played_at <> date_trunc('milliseconds', played_at)"),
          ).toEqual([])
        },
      ),
      { numRuns: 20 },
    )
  })
})

describe('pages as Spotify sends them', () => {
  test('in both modes and with every oddity, are stored as they were delivered', async () => {
    const shares = Object.fromEntries([...trackOddities, ...playOddities].map((name) => [name, 0.05]))
    for (const mode of ['development', 'extended'] as const) {
      const spotify = await startSpotifySimulator({ mode, listeners: 3, clock: 'stopped', oddities: shares })
      onTestFinished(() => spotify.stop())
      const expected = new Set<string>()
      for (let round = 0; round < 12; round++) {
        const fetchedAt = spotify.now()
        const records = await Promise.all(
          [0, 1, 2].map(async (listener) => {
            const body = await fetchPage(spotify, listener)
            for (const play of tellable(body, fetchedAt)) expected.add(`${listener + 1} ${play}`)
            return pageRecord([], { user: listener + 1, fetchedAt, offset: round, value: { body } })
          }),
        )
        await loader.history(records)
        spotify.advance(2 * 60 * minute)
      }
      const stored = await rows<{ user_id: number; played_at: Date; track_id: string }>('select * from plays')
      const keys = stored.map((p) => `${p.user_id} ${p.played_at.toISOString()} ${p.track_id}`)
      expect(new Set(keys)).toEqual(expected)
      expect(await rows('select id from gaps')).toEqual([])
      const tracks =
        'select count(*)::int as n from plays p left join tracks t on t.id = p.track_id where t.id is null'
      expect(await rows(tracks)).toEqual([{ n: 0 }])
      await empty()
      loader = openLoader()
    }
  })

  async function fetchPage(spotify: SpotifySimulator, listener: number): Promise<Buffer> {
    const refresh_token = spotify.refreshToken(listener)
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token, client_id: 'app' })
    const token = (await (await fetch(`${spotify.url}/api/token`, { method: 'POST', body })).json()) as Json
    const headers = { authorization: `Bearer ${token.access_token}` }
    const page = await fetch(`${spotify.env.SPOTIFY_API_URL}/me/player/recently-played?limit=50`, { headers })
    expect(page.status).toBe(200)
    return Buffer.from(await page.arrayBuffer())
  }

  /** Time and track of the plays of a page, by a reading that is independent of the loader's. */
  function tellable(body: Buffer, fetchedAt: number): string[] {
    const { items } = JSON.parse(body.toString()) as {
      items: { played_at?: string; track: { id: string | null; uri: string } | null }[]
    }
    return items.flatMap(({ played_at, track }) => {
      if (!track || !played_at || Date.parse(played_at) > fetchedAt + 86_400_000) return []
      return [`${played_at} ${track.id ?? track.uri}`]
    })
  }
})

describe('rejected items', () => {
  const bad = { track: track('Broken'), context: null }
  const page = (offset: number, items: unknown[] = [bad]) =>
    pageRecord([item(at(0), 'A'), ...items], { fetchedAt: at(1 + offset), offset })

  test('are reported by the first page that shows them, and not by the next poll', async () => {
    expect(await loader.history([page(1), page(2)])).toMatchObject([{ record: { offset: 1 } }])
    expect(await loader.history([page(3)])).toEqual([])
  })

  test('are reported again when that page comes again: the process may have died before the dead letter', async () => {
    await loader.history([page(1)])
    await openLoader().history([page(2)])
    expect(await openLoader().history([page(1)])).toMatchObject([{ record: { offset: 1 } }])
  })

  test('of a page that was redriven are always reported', async () => {
    await loader.history([page(1)])
    const headers = [{ name: 'redrive.group', value: Buffer.from('loader.history') }]
    expect(await loader.history([{ ...page(9), headers }])).toMatchObject([{ reason: 'rejected_item' }])
  })

  test('that are new beside a known one are reported alone', async () => {
    await loader.history([page(1)])
    const [letter] = await loader.history([page(2, [bad, { track: track('Worse') }])])
    expect(letter?.message).toBe('1 of 3 items cannot be told: items[2]: missing_played_at (track "Worse")')
  })

  test('of one user say nothing of another', async () => {
    await loader.history([page(1)])
    const other = pageRecord([bad], { fetchedAt: at(3), offset: 2, user: 8 })
    expect(await loader.history([other])).toHaveLength(1)
  })
})

describe('gaps', () => {
  const gaps = () =>
    rows('select user_id, after, before, closed_at is not null as closed from gaps order by id')

  test('lie between the newest play known and the oldest of a full page', async () => {
    await loader.history([fullPage(100, { offset: 0 })])
    await loader.history([fullPage(160, { offset: 1 })])
    expect(await gaps()).toEqual([
      { user_id: 7, after: new Date(at(100)), before: new Date(at(111)), closed: false },
    ])
  })

  test('are not where pages meet, nor for a new user', async () => {
    await loader.history([fullPage(100), fullPage(149, { offset: 1 }), fullPage(149, { user: 9 })])
    expect(await gaps()).toEqual([])
  })

  test('are found once, however often and in whatever batches the pages come', async () => {
    const pages = [fullPage(100, { offset: 0 }), fullPage(160, { offset: 1 }), fullPage(190, { offset: 2 })]
    await loader.history(pages)
    for (const page of pages) await openLoader().history([page])
    await openLoader().history(pages)
    expect(await gaps()).toHaveLength(1)
  })

  test('are not hidden by a play of a clock that runs ahead', async () => {
    const ahead = pageRecord([item(at(1_000), 'x')], { fetchedAt: at(101), offset: 1 })
    await loader.history([fullPage(100, { offset: 0 }), ahead])
    await loader.history([fullPage(160, { offset: 2 })])
    expect(await gaps()).toHaveLength(1)
    await empty()
    await openLoader().history([fullPage(100, { offset: 0 }), ahead, fullPage(160, { offset: 2 })])
    expect(await gaps()).toHaveLength(1)
  })

  test('are closed by a page that connects both sides, and not by times that overlap', async () => {
    await loader.history([fullPage(100, { offset: 0 }), fullPage(160, { offset: 1 })])
    const other = Array.from({ length: 50 }, (_, i) => item(at(170 - 2 * i), `other ${i}`))
    await loader.history([pageRecord(other, { fetchedAt: at(171), offset: 2 })])
    expect((await gaps()).map(({ closed }) => closed)).toContain(false)
    await loader.history([fullPage(149, { offset: 3 }), fullPage(190, { offset: 4 })])
    expect(await rows('select after, before from gaps where closed_at is null')).toEqual([
      { after: new Date(at(170)), before: new Date(at(171)) },
    ])
  })

  test('are split by a page inside them', async () => {
    await loader.history([fullPage(100, { offset: 0 }), fullPage(160, { offset: 1 })])
    await loader.history([pageRecord([item(at(105), 'late')], { fetchedAt: at(171), offset: 3 })])
    expect(await gaps()).toEqual([
      { user_id: 7, after: new Date(at(100)), before: new Date(at(105)), closed: false },
      { user_id: 7, after: new Date(at(105)), before: new Date(at(111)), closed: false },
    ])
  })
})

describe('the catalogue', () => {
  const version = (n: number, artists: string[] = ['A']) => ({
    ...track('T', { name: `T v${n}`, popularity: n % 100, artists: artists.map(simpleArtist) }),
    album: { id: 'album', name: `Album v${n}`, images: [] },
  })
  const seen = (n: number, artists?: string[]) =>
    pageRecord([item(at(0), 'T', { track: version(n, artists) })], { fetchedAt: at(n), offset: n })

  test('the last writer wins by the time of its fetch, in whatever order, batches and processes', async () => {
    const sighting = fc.record({
      // All versions differ: an unchanged row keeps its older time until it is written again (CommittedRows).
      n: fc.integer({ min: 1, max: 99 }),
      artists: fc.uniqueArray(fc.constantFrom('A', 'B', 'C'), { maxLength: 3 }),
      restart: fc.boolean(),
      viaMetadata: fc.boolean(),
    })
    const sightings = fc.uniqueArray(sighting, { minLength: 1, maxLength: 12, selector: (s) => s.n })
    await fc.assert(
      fc.asyncProperty(sightings, fc.integer({ min: 1, max: 4 }), async (all, size) => {
        await empty()
        let process = openLoader()
        for (let i = 0; i < all.length; i += size) {
          const part = all.slice(i, i + size)
          if (part[0]?.restart) process = openLoader()
          if (part[0]?.viaMetadata) {
            const id = idFor('T')
            await process.metadata(
              part.map((s) =>
                entityRecord('track', id, { fetchedAt: at(s.n), body: version(s.n, s.artists) }),
              ),
            )
          } else await process.history(part.map((s) => seen(s.n, s.artists)))
        }
        const newest = all.reduce((a, b) => (b.n > a.n ? b : a))
        expect(await rows('select name from tracks')).toEqual([{ name: `T v${newest.n}` }])
        expect(await rows('select name from albums')).toEqual([{ name: `Album v${newest.n}` }])
        expect(
          await rows('select position, artist_id, is_primary from track_artists order by position'),
        ).toEqual(
          newest.artists.map((a, position) => ({
            position,
            artist_id: idFor(a),
            is_primary: position === 0,
          })),
        )
        expect(await rows('select value from track_popularity')).toEqual([{ value: newest.n % 100 }])
      }),
      { numRuns: 40 },
    )
  })

  describe('a number of the day is written only when it changes', () => {
    const day = 24 * 60
    const shown = (n: number, popularity: number) =>
      pageRecord([item(at(n), 'T', { track: track('T', { popularity }) })], { fetchedAt: at(n), offset: n })
    const observed = () =>
      rows("select to_char(observed_on, 'DD') as day, value from track_popularity order by observed_on")
    const days = [shown(0, 50), shown(day, 50), shown(2 * day, 51), shown(3 * day, 51), shown(4 * day, 50)]
    const changes = [
      { day: '24', value: 50 },
      { day: '26', value: 51 },
      { day: '28', value: 50 },
    ]

    test.each([1, 2, 5])('in batches of %i days', async (size) => {
      for (let i = 0; i < days.length; i += size) await openLoader().history(days.slice(i, i + size))
      expect(await observed()).toEqual(changes)
      await openLoader().history(days)
      expect(await observed()).toEqual(changes)
    })

    test('and the last one of its day stays', async () => {
      await loader.history([shown(0, 50), shown(day, 60)])
      await openLoader().history([shown(day + 1, 50)])
      expect(await observed()).toEqual([
        { day: '24', value: 50 },
        { day: '25', value: 50 },
      ])
    })
  })

  test('a track that is seen again unchanged is not written again', async () => {
    const again = { ...seen(2), value: { ...seen(1).value, fetchedAt: at(2) } }
    await loader.history([seen(1)])
    const versions = () => rows('select xmin::text from tracks union all select xmin::text from artists')
    const before = await versions()
    await loader.history([again])
    expect(await versions()).toEqual(before)
  })

  test('an answer and a page do not wipe what the other one knows of an artist', async () => {
    const id = idFor('A')
    const body = { ...simpleArtist('A'), genres: ['folk'], images: [{ url: 'u', height: 1, width: 1 }] }
    await loader.history([seen(1)])
    await loader.metadata([entityRecord('artist', id, { fetchedAt: at(2), body })])
    const renamed = { ...version(3), artists: [{ ...simpleArtist('A'), name: 'A (new name)' }] }
    await loader.history([pageRecord([item(at(0), 'T', { track: renamed })], { fetchedAt: at(3) })])
    const older = { ...body, name: 'A (old name)', genres: ['old'] }
    await openLoader().metadata([entityRecord('artist', id, { fetchedAt: at(1), body: older })])
    expect(await rows('select name, genres, metadata_status from artists')).toEqual([
      { name: 'A (new name)', genres: ['folk'], metadata_status: 'found' },
    ])
  })

  test('fields that a later answer lacks stay', async () => {
    const id = idFor('A')
    const { external_ids: _, ...bare }: Json = version(2)
    await loader.history([seen(1)])
    await loader.history([pageRecord([item(at(0), 'T', { track: bare })], { fetchedAt: at(2), offset: 2 })])
    await loader.metadata([
      entityRecord('artist', id, { fetchedAt: at(2), body: { ...simpleArtist('A'), genres: ['folk'] } }),
      entityRecord('artist', id, { fetchedAt: at(3), body: simpleArtist('A'), offset: 1 }),
    ])
    await loader.metadata([entityRecord('artist', id, { fetchedAt: at(4), body: simpleArtist('A') })])
    expect(await rows('select name, isrc from tracks')).toEqual([{ name: 'T v2', isrc: 'GBAYE6800011' }])
    expect(await rows('select genres from artists')).toEqual([{ genres: ['folk'] }])
  })

  describe('absent is not empty: of each field', () => {
    const id = idFor('T')
    const full = track('T', { popularity: 50 })
    const artist = {
      ...simpleArtist('A'),
      ...{
        genres: ['folk'],
        images: [{ url: 'u', height: 1, width: 1 }],
        popularity: 60,
        followers: { total: 5 },
      },
    }
    const features = { danceability: 0.5, tempo: 99 }
    /** Where each field is stored, and its value if no answer has shown it. */
    const places: Record<string, { sql: string; none: unknown }> = {
      'track.name': { sql: 'select name as v from tracks', none: '' },
      'track.duration_ms': { sql: 'select duration_ms as v from tracks', none: null },
      'track.explicit': { sql: 'select explicit as v from tracks', none: null },
      'track.external_ids': { sql: 'select isrc as v from tracks', none: null },
      'track.external_ids.isrc': { sql: 'select isrc as v from tracks', none: null },
      'track.album': { sql: 'select album_id as v from tracks', none: null },
      'track.album.id': { sql: 'select album_id as v from tracks', none: null },
      'track.artists': { sql: 'select array_agg(artist_id) as v from track_artists', none: null },
      'track.popularity': { sql: 'select value as v from track_popularity', none: null },
      'album.name': { sql: 'select name as v from albums', none: '' },
      'album.album_type': { sql: 'select album_type as v from albums', none: null },
      'album.release_date': { sql: 'select release_date as v from albums', none: null },
      'album.images': { sql: 'select images as v from albums', none: [] },
      'artist.name': { sql: `select name as v from artists where id = '${idFor('A')}'`, none: '' },
      'artist.genres': { sql: `select genres as v from artists where id = '${idFor('A')}'`, none: [] },
      'artist.images': { sql: `select images as v from artists where id = '${idFor('A')}'`, none: [] },
      'artist.followers': { sql: 'select value as v from artist_followers', none: null },
      'artist.popularity': { sql: 'select value as v from artist_popularity', none: null },
      'audioFeatures.feature': { sql: 'select tempo as v from audio_features', none: null },
    }
    const lines = Object.entries(meanings).flatMap(([kind, fields]) =>
      Object.entries(fields).flatMap(([field, means]) =>
        Object.entries(means as Meanings).map(([how, meaning]) => ({ kind, field, how, meaning })),
      ),
    )

    /** A copy of an object whose field at a path is absent, null or empty. */
    function without(of: Json, path: readonly string[], how: string): Json {
      const [field = '', ...rest] = path
      const value = of[field]
      if (rest.length > 0) return { ...of, [field]: without(value as Json, rest, how) }
      const { [field]: _, ...others } = of
      if (how === 'absent') return others
      if (how === 'null') return { ...of, [field]: null }
      return { ...of, [field]: Array.isArray(value) ? [] : typeof value === 'object' ? {} : '' }
    }

    const load = (kind: string, n: number, change: (body: Json) => Json) => {
      const fetchedAt = at(n)
      if (kind === 'track' || kind === 'album') {
        const shown = kind === 'track' ? change(full) : { ...full, album: change(full.album as Json) }
        const page = pageRecord([item(at(0), 'T', { track: shown })], { fetchedAt, offset: n })
        return openLoader().history([page])
      }
      const [name, of, body] =
        kind === 'artist' ? ['artist', idFor('A'), change(artist)] : ['audio-features', id, change(features)]
      return openLoader().metadata([entityRecord(String(name), String(of), { fetchedAt, body, offset: n })])
    }

    test('the table has a place in the database', () => {
      expect(Object.keys(places)).toEqual(
        Object.entries(meanings).flatMap(([kind, fields]) => Object.keys(fields).map((f) => `${kind}.${f}`)),
      )
    })

    test.each(lines)('$kind.$field that is $how: $meaning', async ({ kind, field, how, meaning }) => {
      const place = places[`${kind}.${field}`]
      const path = kind === 'audioFeatures' ? ['tempo'] : field.split('.')
      const value = async () => (await rows<{ v: unknown }>(place?.sql ?? ''))[0]?.v
      await load(kind, 1, (body) => body)
      const known = await value()
      expect(known ?? null).not.toBeNull()
      await load(kind, 2, (body) => without(body, path, how))
      expect(await value()).toEqual(meaning === 'keep' ? known : place?.none)
    })

    test('also where the answers are of one batch', async () => {
      const { artists: _, external_ids: __, ...silent } = full
      const pages = [full, silent].map((shown, n) =>
        pageRecord([item(at(0), 'T', { track: shown })], { fetchedAt: at(n + 1), offset: n }),
      )
      await loader.history(pages)
      expect(await rows('select isrc from tracks')).toEqual([{ isrc: 'GBAYE6800011' }])
      expect(await rows('select artist_id from track_artists')).toHaveLength(1)
    })
  })

  test('an artist without an id keeps its place, and somebody is the primary one', async () => {
    const nameless = { id: null, uri: null, name: 'Home Recordings' }
    const artists = [nameless, simpleArtist('B'), { name: 'Third' }, simpleArtist('D')]
    await loader.history([
      pageRecord([item(at(0), 'T', { track: track('T', { artists }) })], { fetchedAt: at(1) }),
    ])
    expect(
      await rows(`select a.position, a.is_primary, a.artist_id, n.name from track_artists a
        join artists n on n.id = a.artist_id order by 1`),
    ).toEqual([
      { position: 0, is_primary: true, artist_id: 'name:Home Recordings', name: 'Home Recordings' },
      { position: 1, is_primary: false, artist_id: idFor('B'), name: 'B' },
      { position: 2, is_primary: false, artist_id: 'name:Third', name: 'Third' },
      { position: 3, is_primary: false, artist_id: idFor('D'), name: 'D' },
    ])
  })

  test('what was found stays found; what was not is remembered', async () => {
    const id = idFor('T')
    const answer = (kind: string, n: number, over: object) =>
      entityRecord(kind, id, { fetchedAt: at(n), ...over })
    await loader.metadata([
      answer('audio-features', 1, { status: 404 }),
      answer('artist', 1, { status: 404 }),
    ])
    expect(await rows('select features_status, name from tracks')).toEqual([
      { features_status: 'not_found', name: '' },
    ])
    expect(await rows('select metadata_status from artists')).toEqual([{ metadata_status: 'not_found' }])
    await loader.metadata([answer('audio-features', 2, { body: { tempo: 99 }, provider: 'reccobeats' })])
    await loader.metadata([answer('audio-features', 3, { status: 404 })])
    await loader.history([seen(1)])
    expect(await rows('select features_status, name from tracks')).toEqual([
      { features_status: 'found', name: 'T v1' },
    ])
    expect(await rows('select tempo, provider, energy from audio_features')).toEqual([
      { tempo: 99, provider: 'reccobeats', energy: null },
    ])
  })

  test('two loaders on the same tracks never deadlock', async () => {
    const names = Array.from({ length: 60 }, (_, i) => `N${i}`)
    const shuffled = (seed: number) => [...names].sort((a, b) => hash(a, seed) - hash(b, seed))
    const hash = (name: string, seed: number) => (Number(name.slice(1)) * (seed + 1) * 31) % 61
    const load = async (user: number) => {
      for (let n = 1; n <= 15; n++) {
        const fetchedAt = at(n) + user
        const order = shuffled(user * 7 + n)
        const artists = order.slice(0, 5).map(simpleArtist)
        const items = order.map((name, i) =>
          item(at(-i), name, { track: track(name, { name: `${n} of ${user}`, popularity: n, artists }) }),
        )
        await openLoader().history([pageRecord(items, { user, fetchedAt, offset: n })])
        await openLoader().metadata(
          order.map((name) => entityRecord('artist', idFor(name), { fetchedAt, body: simpleArtist(name) })),
        )
      }
    }
    await Promise.all([1, 2, 3, 4].map(load))
    // The last writer wins everywhere, with the artists of its own page.
    expect(await rows('select distinct name from tracks')).toEqual([{ name: '15 of 4' }])
    const last = shuffled(4 * 7 + 15)
      .slice(0, 5)
      .map((name) => ({ artist_id: idFor(name), n: 60 }))
    const inOrder =
      'select artist_id, count(*)::int as n from track_artists group by position, artist_id order by position'
    expect(await rows(inOrder)).toEqual(last)
  })
})

test('lists reach Postgres as they are, whatever stands in them', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }).map((s) => s.toWellFormed().replaceAll('\0', '')),
    fc.constantFrom('', 'NULL', 'null', '{', '}', ',', '"', '\\', '\\"', ' a ', 'a,b', '{"a"}', '\n', "'"),
  )
  const texts = fc.array(fc.option(text))
  const numbers = fc.array(fc.oneof(fc.integer(), fc.constantFrom(0, -1, Number.MAX_SAFE_INTEGER)))
  await fc.assert(
    fc.asyncProperty(texts, numbers, async (someTexts, someNumbers) => {
      const { rows } = await postgres.query('select $1::text[] as texts, $2::bigint[]::text[] as numbers', [
        toArray(someTexts),
        toArray(someNumbers),
      ])
      expect(rows).toEqual([{ texts: someTexts, numbers: someNumbers.map(String) }])
    }),
    { numRuns: 300 },
  )
})
