import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { createClient } from '../../lib/kafka/client.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import { headerText } from '../../lib/kafka/record.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { S3 } from '../../lib/s3.ts'
import { metadataKey } from '../../lib/topology.ts'
import type { RerunReport } from '../../operations/rerun/run.ts'
import type { TestObject } from '../support/archive.ts'
import { openTestS3, readWholeArchive } from '../support/archive.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { idFor, item, localFile, pageBody, track } from '../support/pages.ts'
import { startService } from '../support/service.ts'
import { runSongswap, spawnSongswap, startSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

let stream: Stream
let postgres: Postgres
let kafka: Kafka
let s3: S3
let objects: TestObject[]
/** Rows that the live loader made from the same records. */
let loaded: unknown
const minute = 60_000
const dayMs = 86_400_000
const start = Date.now() - 10 * dayMs
const users = [7, 8, 9]
const pagesOfUser = 30
const pages = users.length * pagesOfUser

beforeAll(async () => {
  stream = await createStream()
  postgres = stream.openPostgres(2)
  kafka = (await stream.openKafka()).kafka
  s3 = openTestS3(stream.env)
  for (let i = 0; i < pagesOfUser; i++) for (const user of users) await publishPage(user, i)
  for (const user of users) await publishRejected(user)
  await publishTrack('T0')
})
afterAll(async () => {
  await s3?.close()
  await stream?.release()
})

/** Page `i` is of day `i / 3` after the start: it shows a play and the one before it. */
async function publishPage(user: number, i: number): Promise<void> {
  const at = start + i * (dayMs / 3)
  const context = i % 2 === 0 ? null : { type: 'album', uri: `spotify:album:${i}` }
  const plays = [item(at, `T${i % 7}`, { context }), { ...item(at - minute, 'x'), track: localFile(`L${i}`) }]
  await publish(user, plays, at + minute)
}

const publishRejected = (user: number) =>
  publish(user, [{ track: track('R') }, item(start - minute, 'T1')], start + 9 * dayMs)

async function publish(user: number, items: unknown[], at: number): Promise<void> {
  const page = { endpoint: 'recently-played', subject: String(user), source: 'poll', status: 200 }
  const value = { ...page, fetchedAt: at, body: pageBody(items) }
  const headers = [{ name: 'trace', value: Buffer.from(`${user}`) }]
  await kafka.publish(stream.topology.recentlyPlayed, [{ key: String(user), value, headers, timestamp: at }])
}

async function publishTrack(name: string): Promise<void> {
  const id = idFor(name)
  const body = Buffer.from(JSON.stringify({ ...track(name), name: `${name}, looked up`, popularity: 40 }))
  const value = { endpoint: 'track', subject: id, source: 'enrich', status: 200, fetchedAt: Date.now(), body }
  await kafka.publish(stream.topology.metadata, [{ key: metadataKey('track', id), value }])
}

async function loadAndArchive(): Promise<void> {
  const env = { ...stream.env, LOG_LEVEL: 'info', ARCHIVE_OBJECT_AGE_SECONDS: '1' }
  const services = [await startService('loader', env), await startService('archiver', env)]
  const count = async (sql: string) => (await postgres.query(`select from ${sql}`)).rowCount ?? 0
  const plays = users.length * (pagesOfUser * 2 + 1)
  await until(async () => (await count('plays')) === plays, 'all plays are stored')
  await until(async () => (await count('track_popularity')) === 1, 'the metadata are stored')
  const archived = async () => {
    const found = await readWholeArchive(s3, stream.env.S3_PREFIX ?? '')
    return found.reduce((n, o) => n + o.rows.length, 0)
  }
  await until(async () => (await archived()) === pages + users.length + 1, 'all records are archived')
  await Promise.all(services.map((s) => s.stop()))
}

/** Empties the tables, as after a loss of the database and a migration. */
async function empty(): Promise<void> {
  const tables = [
    ...[
      'plays',
      'gaps',
      'shown_windows',
      'shown_items',
      'rejected_items',
      'albums',
      'tracks',
      'artists',
      'track_artists',
      'reruns',
      'users',
    ],
    ...['track_popularity', 'artist_popularity', 'artist_followers', 'audio_features', 'erased_users'],
  ]
  await postgres.query(tables.map((t) => `delete from ${t}`).join('; '))
  await postgres.query('alter sequence users_id_seq restart')
}

/** The rows that the loader writes, without times of writing and requests for metadata. */
async function contents(
  tables = ['plays', 'rejected_items', 'tracks', 'artists', 'albums', 'track_artists'],
) {
  const left = ['ingested_at', 'first_seen_at', 'metadata_requested_at', 'features_requested_at']
  const own = [...left, 'features_status', 'features_requests', 'metadata_status', 'fetched_at']
  const all = tables.map((t) =>
    postgres.query(`select (to_jsonb(t) - $1::text[])::text as row from ${t} t order by 1`, [own]),
  )
  return (await Promise.all(all)).map((r) => r.rows)
}

async function restore(args: string[], exitCode = 0): Promise<RerunReport> {
  const ended = await runSongswap(['restore', ...args, '--execute', '--json'], stream.env)
  expect(ended.code, ended.stderr).toBe(exitCode)
  return JSON.parse(ended.stdout)
}

const rows = async <T>(sql: string): Promise<T[]> => (await postgres.query(sql)).rows as T[]

test('what there is to restore: pages and metadata that the live services have dealt with', async () => {
  await loadAndArchive()
  objects = await readWholeArchive(s3, stream.env.S3_PREFIX ?? '')
  loaded = await contents()
}, 120_000)

describe('songswap restore', () => {
  beforeEach(empty)

  test('without --execute lists what it would load, and does nothing', async () => {
    const { code, stdout, stderr } = await runSongswap(['restore'], stream.env)
    expect(code, stderr).toBe(0)
    expect(stderr).toContain(
      `${objects.length} objects with ${pages + users.length + 1} records. Load them with: --execute`,
    )
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    expect(await rows('select from plays')).toEqual([])
  })

  test('rebuilds a lost database from the archive alone: the same rows as the live loader', async () => {
    const restored = await restore([])
    expect(restored).toMatchObject({
      finished: true,
      read: pages + users.length + 1,
      stored: users.length * (pagesOfUser * 2 + 1),
      found: 1,
      deadLetters: { rejected_item: users.length },
      damaged: [],
    })
    expect(await contents()).toEqual(loaded)
    // New users get new ids, and gaps and dead letters are not reported.
    expect(await rows(`insert into users (spotify_id) values ('new') returning id`)).toEqual([{ id: 10 }])
    expect(await rows('select from gaps where opening_told_at is null')).toEqual([])
    const dead = await stream.readTopic(stream.topology.deadLetters.name)
    expect(dead).toHaveLength(users.length)
    const again = await restore([])
    expect(again).toMatchObject({ stored: 0, alreadyThere: restored.stored, items: restored.items })
  })

  test('takes only the topic, the user and the time that were asked for', async () => {
    const { name } = stream.topology.recentlyPlayed
    const one = await restore(['--topic', name, '--user', '8'])
    expect(one).toMatchObject({ stored: pagesOfUser * 2 + 1, found: 0 })
    const from = new Date(start + 4 * dayMs).toISOString()
    const to = new Date(start + 6 * dayMs).toISOString()
    const range = await restore(['--topic', name, '--from', from, '--to', to])
    expect(range.items).toBe(6 * users.length * 2)
  })

  test('Ctrl-C stops it cleanly, and --resume goes on where it was', async () => {
    const slow = startSongswap(['restore', '--rate', '20', '--execute', '--json'], stream.env)
    await until(async () => (await rows('select from plays limit 1')).length > 0, 'some plays are stored')
    slow.interrupt()
    const ended = await slow.ended
    const cut: RerunReport = JSON.parse(ended.stdout)
    expect(ended.code).toBe(1)
    expect(cut.read).toBeLessThan(pages)
    const rest = await restore(['--resume'])
    expect(rest).toMatchObject({ run: cut.run, finished: true, read: pages + users.length + 1 })
    expect(await contents()).toEqual(loaded)
  })

  test('names a damaged object and restores all others', async () => {
    const damaged = objects.find((o) => o.topic === stream.topology.recentlyPlayed.name)
    if (!damaged) throw new Error('The archive has no pages')
    const key = damaged.path
    const bytes = Buffer.concat(await (await s3.get(key)).toArray())
    const metadata = (await s3.head(key))?.metadata ?? {}
    await replaceObject(key, bytes.subarray(0, bytes.length - 20), metadata)
    const restored = await restore([], 1)
    await replaceObject(key, bytes, metadata)
    expect(restored.damaged).toEqual([{ key, reason: 'It ends within a block' }])
    expect(restored.finished).toBe(true)
    const others = pages + users.length + 1 - damaged.rows.length
    expect(restored.read).toBe(others)
  })

  test('an archive that a tool has copied without metadata is restored to its last row', async () => {
    const kept = await Promise.all(
      objects.map(async ({ path }) => ({
        path,
        bytes: Buffer.concat(await (await s3.get(path)).toArray()),
        metadata: (await s3.head(path))?.metadata ?? {},
      })),
    )
    for (const { path, bytes } of kept) await replaceObject(path, bytes, {})
    const dry = await runSongswap(['restore'], stream.env)
    const restored = await restore([])
    for (const { path, bytes, metadata } of kept) await replaceObject(path, bytes, metadata)
    expect(dry.stderr).toContain(`${objects.length} objects with ${pages + users.length + 1} records.`)
    expect(restored).toMatchObject({ read: pages + users.length + 1, damaged: [] })
    expect(await contents()).toEqual(loaded)
  })

  test('an object with the rows of another one is named, and puts no play in a wrong place', async () => {
    const { name } = stream.topology.recentlyPlayed
    const [one, other] = objects
      .filter((o) => o.topic === name)
      .filter((o, i, all) => o.partition !== all[0]?.partition || i === 0)
    if (!one || !other) throw new Error('All pages lie in one partition')
    const bytes = Buffer.concat(await (await s3.get(one.path)).toArray())
    const metadata = (await s3.head(one.path))?.metadata ?? {}
    await replaceObject(one.path, Buffer.concat(await (await s3.get(other.path)).toArray()), metadata)
    const restored = await restore(['--topic', name], 1)
    await replaceObject(one.path, bytes, metadata)
    expect(restored.damaged).toEqual([
      { key: one.path, reason: 'Its rows are not those that its name says, from offset 0 on' },
    ])
    const own = one.rows.map(({ offset }) => offset)
    expect(
      await rows(`select from plays where page_partition = ${one.partition} and page_offset in (${own})`),
    ).toEqual([])
    expect(restored.stored).toBeGreaterThan(0)
  })

  test('killed anywhere, it is resumed and ends with the same rows', async () => {
    const slow = spawnSongswap(['restore', '--rate', '25', '--execute'], stream.env)
    await until(async () => (await rows('select from plays')).length > 120, 'more is stored than was noted')
    slow.kill()
    await slow.ended
    await until(
      async () => (await rows('select from reruns where leased_until > now()')).length === 0,
      'the lease of the killed process has ended',
    )
    const dry = await runSongswap(['restore'], stream.env)
    expect(dry.stderr).toMatch(/Run \d+ was cut short .*--resume \d+/)
    const rest = await restore(['--resume'])
    expect(rest).toMatchObject({ finished: true, read: pages + users.length + 1 })
    expect(await contents()).toEqual(loaded)
  }, 60_000)

  test('--to-topic puts records back as they were, with where they were, and the live loader doubles nothing', async () => {
    await restore([])
    const topic = stream.topology.recentlyPlayed.name
    const dry = await runSongswap(['restore', '--topic', topic, '--to-topic'], stream.env)
    expect(dry.stderr).toContain(`${pages + users.length} of these records are in the topic already`)
    const before = await stream.readTopic(topic)
    expect(await restore(['--topic', topic, '--to-topic'])).toMatchObject({ published: before.length })

    const after = await stream.readTopic(topic)
    const copies = after.filter((r) => headerText(r, 'restore.offset') !== null)
    expect(copies).toHaveLength(before.length)
    const place = (partition: unknown, offset: unknown) => `${partition}/${offset}`
    const originals = new Map(before.map((r) => [place(r.partition, r.offset), r]))
    for (const copy of copies) {
      const at = (name: string) => headerText(copy, `restore.${name}`)
      const original = originals.get(place(at('partition'), at('offset')))
      expect(at('topic')).toBe(topic)
      expect(at('timestamp')).toBe(String(original?.timestamp))
      expect(toComparable(copy)).toEqual(original && toComparable(original))
      originals.delete(place(at('partition'), at('offset')))
    }
    expect(originals.size).toBe(0)
    // The live loader treats the copies like the originals; a bad record becomes a dead letter again.
    const dead = (await stream.readTopic(stream.topology.deadLetters.name)).length
    const loader = await startService('loader', { ...stream.env, LOG_LEVEL: 'info' })
    const admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
    const lag = async () =>
      (await admin.readGroupLag(stream.topology.groups.loaderHistory, [topic])).partitions
    await until(async () => (await lag()).every((p) => p.lag === 0), 'the loader has read the copies')
    await admin.close()
    await loader.stop()
    expect(await stream.readTopic(stream.topology.deadLetters.name)).toHaveLength(dead + users.length)
    expect(await contents()).toEqual(loaded)
    const audit = await runSongswap(['audit', '--no-archive', '--json'], stream.env)
    const { account, addsUp } = JSON.parse(audit.stdout)
    expect(addsUp, JSON.stringify(account)).toBe(true)
    expect(account.stored).toBe((await rows('select from plays')).length)
  })

  test('the live loader goes on in a rebuilt database: no gap is told of, and new pages are stored', async () => {
    await restore([])
    // The pages of this test share no play: the stretches between them are gaps, which are not reported.
    const gaps = await rows('select * from gaps order by id')
    const [latest] = await rows<{ at: Date }>('select max(played_at) as at from plays where user_id = 7')
    const newest = latest?.at.getTime() ?? 0
    // A full window, whose oldest play is the newest restored one.
    const window = Array.from({ length: 50 }, (_, i) => item(newest + i * 1_000, i === 0 ? 'T1' : `W${i}`))
    await publish(7, window.toReversed(), newest + minute)
    const loader = await startService('loader', { ...stream.env, LOG_LEVEL: 'info' })
    await until(
      async () =>
        (await rows(`select from plays where played_at > '${latest?.at.toISOString()}'`)).length === 49,
      'the new plays are stored',
    )
    await loader.stop()
    expect(await rows('select * from gaps order by id')).toEqual(gaps)
    expect(await rows('select from gaps where not quiet')).toEqual([])
  }, 60_000)

  test('counts before what it would remove, and stops before it removes more than a share', async () => {
    await restore([])
    await postgres.query("update plays set track_id = 'other ' || track_id")
    const spoilt = (await rows('select from plays')).length
    const { stdout } = await runSongswap(['restore', '--json'], stream.env)
    const { unclaimed } = JSON.parse(stdout)
    // A page with a rejected item removes no plays.
    expect(unclaimed).toMatchObject({ plays: spoilt - users.length, ofPlays: spoilt, finished: true })
    const shown = await runSongswap(['restore'], stream.env)
    expect(shown.stderr).toContain(
      `${unclaimed.plays} plays that their page does not claim would be removed:`,
    )
    const stopped = await runSongswap(['restore', '--execute'], stream.env)
    expect(stopped.code).toBe(1)
    expect(stopped.stderr).toContain(`--allow-removal ${unclaimed.needsPercent}`)
    expect(await rows("select from plays where track_id not like 'other %'")).toEqual([])
    const done = await restore(['--allow-removal', String(unclaimed.needsPercent)])
    expect(done).toMatchObject({ removed: unclaimed.plays, stored: spoilt })
  })

  test.each([
    [['--topic', 'metadata.wanted'], 'The archive has no topic'],
    [['--to-topic'], '--to-topic needs --topic'],
    [['--from', '0:5'], 'those of one --topic'],
    [['--from-file', 'x', '--topic', 'y'], 'cannot be used with'],
  ])('refuses %j', async (args, words) => {
    const { code, stderr } = await runSongswap(['restore', ...args], stream.env)
    expect(code).toBe(2)
    expect(stderr).toContain(words)
  })
})

test('restore keeps a play that another page claims which is in the archive alone', async () => {
  await empty()
  await restore([])
  const client = createClient({ config: stream.config, log: stream.log, name: 'test' }).admin()
  const { name } = stream.topology.recentlyPlayed
  await client.connect()
  const partitions = (await client.fetchTopicOffsets(name)).map(({ partition, high }) => ({
    partition,
    offset: high,
  }))
  await client.deleteTopicRecords({ topic: name, partitions })
  await client.disconnect()
  const before = await contents()
  const [play] = await rows<{ page_partition: number; page_offset: number }>(`
    update plays p set page_offset = o.page_offset, page_timestamp = o.page_timestamp
    from (select * from plays where user_id = 7 order by page_offset offset 20 limit 1) o
    where p.user_id = 7 and p.page_offset = (select min(page_offset) from plays where user_id = 7)
    returning p.page_partition, p.page_offset`)
  const place = `${play?.page_partition}:${play?.page_offset}`
  const range = ['--topic', name, '--from', place]
  expect(await restore(range)).toMatchObject({ removed: 0, kept: 2 })
  expect(await contents()).toEqual(before)
})

async function replaceObject(key: string, bytes: Buffer, metadata: Record<string, string>): Promise<void> {
  await s3.replace({
    ...{ key, metadata, contentType: 'application/avro', length: bytes.length },
    open: () => Readable.from([bytes], { objectMode: false }),
    md5: createHash('md5').update(bytes).digest('base64'),
  })
}

function toComparable({ partition, timestamp, key, bytes, headers }: RawRecord): unknown {
  const own = headers.filter((h) => !h.name.startsWith('restore.'))
  const texts = own.map((h) => `${h.name}=${h.value}`)
  return { partition, timestamp, key: key?.toString(), bytes: bytes?.toString('base64'), texts }
}
