import { createHash, randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { Readable } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { objectKey } from '../../lib/archive/key.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import type { PartitionSink } from '../../lib/kafka/sink.ts'
import { openLog } from '../../lib/log.ts'
import type { S3 } from '../../lib/s3.ts'
import { topology } from '../../lib/topology.ts'
import { RowFormats } from '../../services/archiver/row-format.ts'
import { ArchiveSink } from '../../services/archiver/sink.ts'
import type { ArchiveStore } from '../../services/archiver/store.ts'
import { openStore } from '../../services/archiver/store.ts'
import { archiveKeys, byPartition, openTestS3, readWholeArchive } from '../support/archive.ts'
import type { S3Gate } from '../support/s3-faults.ts'
import { openS3Gate } from '../support/s3-faults.ts'
import type { World } from '../support/world.ts'
import { createWorld } from '../support/world.ts'

/*
 * The sink of one partition with a real object store. Records are undecodable here, so the tests need no registry:
 * the content of records does not decide where objects begin and end.
 */

const { recentlyPlayed } = topology()
const topic = recentlyPlayed.name
const dayMs = 86_400_000
const startOfDay = Date.UTC(2026, 10, 24)

let world: World
let s3: S3
let gate: S3Gate
let gated: S3
let prefix: string
let now: number
let begun: unknown[] = []
const open: PartitionSink<unknown>[] = []

beforeAll(async () => {
  world = await createWorld()
  gate = await openS3Gate(world.env.S3_ENDPOINT ?? '')
  s3 = openTestS3(world.env)
  gated = openTestS3({ ...world.env, S3_ENDPOINT: gate.endpoint })
})
beforeEach(() => {
  prefix = `${world.env.S3_PREFIX}/${crypto.randomUUID()}`
  now = 0
  begun = []
  gate.onRequest = () => null
})
afterEach(async () => {
  for (const sink of open.splice(0)) await sink.close()
})
afterAll(async () => {
  await gate.close()
  await s3.close()
  await gated.close()
  await world.release()
})

/** A sink as in the service. Objects close at `objectBytes`, and blocks too if it is small. */
function newSink(options: { objectBytes?: number; store?: S3; archive?: ArchiveStore } = {}): ArchiveSink {
  const sink = new ArchiveSink({
    topic,
    partition: 4,
    store: options.archive ?? openStore(options.store ?? s3, prefix),
    formats: new RowFormats([recentlyPlayed]),
    objectBytes: options.objectBytes ?? 64 << 20,
    objectAgeMs: 300_000,
    spoolDir: tmpdir(),
    now: () => now,
    wallClock: () => startOfDay + now,
    onIncarnation: (begins) => begun.push(begins),
    log: openLog('test', 'silent'),
  })
  open.push(sink)
  return sink
}

function record(offset: number, timestamp = startOfDay + offset): DecodedRecord<unknown> {
  return {
    topic,
    partition: 4,
    offset,
    timestamp,
    key: Buffer.from('7'),
    headers: [],
    bytes: Buffer.from(`record ${offset}`),
    decoded: { type: 'undecodable', reason: 'not_framed', message: '' },
  }
}

/** Records at the offsets from `first` to `last`. */
const records = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, i) => record(first + i))

/** Puts records as one object, as a twin would. */
async function archive(...list: DecodedRecord<unknown>[]): Promise<void> {
  const twin = newSink()
  await twin.write(list)
  await flush(twin)
}

/** Lets the open object reach its age. */
async function flush(sink: ArchiveSink): Promise<number | null> {
  now += 300_000
  return (await sink.tick()).through
}

/** First and last offsets of all objects. Checks that every offset is archived once. */
async function ranges(): Promise<[number, number][]> {
  const objects = await readWholeArchive(s3, prefix)
  for (const rows of byPartition(objects).values()) {
    for (const row of rows) expect(row.raw?.toString()).toBe(`record ${row.offset}`)
  }
  return objects.map((o) => [o.firstOffset, o.rows.at(-1)?.offset ?? -1])
}

/** Expects ranges from 0 to `last` without hole or overlap. */
function expectTiled(found: [number, number][], last: number): void {
  expect(found.flat()).toEqual([0, ...found.slice(1).flatMap(([first]) => [first - 1, first]), last])
}

test('an object closes at its age, and nothing is settled before its put', async () => {
  const sink = newSink()
  expect(await sink.write(records(0, 9))).toEqual({ through: null, deadLetters: [] })
  now = 299_999
  expect((await sink.tick()).through).toBeNull()
  expect(await archiveKeys(s3, prefix)).toEqual([])
  now = 300_000
  expect((await sink.tick()).through).toBe(9)
  expect(await ranges()).toEqual([[0, 9]])
  expect((await sink.tick()).through).toBeNull()
})

test('what an object holds is asked of one version: an eraser may replace it at any time', async () => {
  await archive(...records(0, 9))
  const store = openStore(gated, prefix)
  const [key] = await store.list(topic, 4)
  const asked: string[] = []
  gate.onRequest = (method) => {
    asked.push(method)
    return null
  }
  if (!key) throw new Error('nothing is archived')
  expect((await store.contents(key)).fingerprints.size).toBe(10)
  expect(asked).toEqual(['GET'])
})

test('age counts while records keep coming', async () => {
  const sink = newSink()
  await sink.write(records(0, 1))
  now = 300_000
  expect((await sink.write(records(2, 3))).through).toBe(1)
})

test('an object is as old as its first record: what a rebalance threw away is due soon after it', async () => {
  const before = newSink()
  now = 200_000
  await before.write(records(0, 9))
  await before.close()
  const after = newSink()
  now = 295_000
  expect((await after.write(records(0, 9))).through).toBeNull()
  now = 305_000
  expect((await after.tick()).through).toBe(9)
  expect(await ranges()).toEqual([[0, 9]])
})

test('old records of which more wait become no object of their own', async () => {
  const sink = newSink()
  now = 10 * dayMs
  for (let first = 0; first < 50; first += 10) {
    now += 5_000
    expect((await sink.write(records(first, first + 9), true)).through).toBeNull()
  }
  expect((await sink.tick(true)).through).toBeNull()
  expect((await sink.tick(false)).through).toBe(49)
  expect(await ranges()).toEqual([[0, 49]])
})

test('a clock of the future holds no object back', async () => {
  const sink = newSink()
  await sink.write([record(0, startOfDay + 400 * dayMs)])
  expect(await flush(sink)).toBe(0)
})

test('an object closes at its size, and the next one begins where it ended', async () => {
  const sink = newSink({ objectBytes: 200 })
  const { through } = await sink.write(records(0, 97))
  await flush(sink)
  const found = await ranges()
  expect(found.length).toBeGreaterThan(5)
  expect(through).toBe(found.at(-2)?.[1])
  expectTiled(found, 97)
})

test('an object is filed under the UTC date of its first record', async () => {
  const sink = newSink()
  await sink.write([record(0, startOfDay + dayMs - 1), record(1, startOfDay + dayMs)])
  await flush(sink)
  expect(await archiveKeys(s3, prefix)).toEqual([
    objectKey(prefix, { topic, partition: 4, firstOffset: 0, date: '2026-11-24' }),
  ])
})

test('a twin that put more wins: its rows are skipped, whether they come before or after it is known', async () => {
  const sink = newSink()
  await sink.write(records(10, 14))
  await archive(...records(10, 19))
  expect(await flush(sink)).toBe(14)
  expect((await sink.write(records(15, 17))).through).toBe(17)
  await sink.write(records(18, 25))
  expect(await flush(sink)).toBe(25)
  expect(await ranges()).toEqual([
    [10, 19],
    [20, 25],
  ])
})

test('a twin that put less wins as well: what it lacks goes into an object right after it', async () => {
  const sink = newSink()
  await sink.write(records(10, 29))
  await archive(...records(10, 14))
  expect(await flush(sink)).toBe(14)
  await sink.write(records(30, 30))
  expect(await flush(sink)).toBe(30)
  expect(await ranges()).toEqual([
    [10, 14],
    [15, 30],
  ])
})

test('a twin that put several objects is followed through all of them', async () => {
  const sink = newSink()
  await sink.write(records(0, 29))
  await archive(...records(0, 9))
  await archive(...records(10, 14))
  await archive(...records(15, 15))
  await flush(sink)
  await flush(sink)
  expect(await ranges()).toEqual([
    [0, 9],
    [10, 14],
    [15, 15],
    [16, 29],
  ])
})

test('a beaten object larger than one block is taken apart row by row', async () => {
  const sink = newSink({ objectBytes: 1 << 20 })
  const large = records(0, 400).map((r) => ({
    ...r,
    bytes: Buffer.from(`record ${r.offset}`.padEnd(9000, '.')),
  }))
  await sink.write(large)
  await archive(...large.slice(0, 251))
  await flush(sink)
  await flush(sink)
  const objects = await readWholeArchive(s3, prefix)
  expect(objects.map((o) => o.firstOffset)).toEqual([0, 251])
  expect([...byPartition(objects).values()][0]?.length).toBe(401)
})

test('an object of many megabytes goes out from the spool, and loses to a twin like a small one', async () => {
  const large = records(0, 79).map((r) => ({ ...r, bytes: randomBytes(100_000) }))
  const sink = newSink({ store: gated })
  const twin = newSink({ store: gated })
  await sink.write(large)
  await twin.write(large.slice(0, 61))
  now = 300_000
  expect((await twin.tick()).through).toBe(60)
  expect((await sink.tick()).through).toBe(60)
  expect(await flush(sink)).toBe(79)
  const objects = await readWholeArchive(s3, prefix)
  expect(objects.map((o) => o.firstOffset)).toEqual([0, 61])
  const [rows = []] = byPartition(objects).values()
  rows.forEach((row, i) => {
    expect(row.raw?.equals(large[i]?.bytes ?? Buffer.alloc(0))).toBe(true)
  })
})

test('after a crash between put and commit the object is found, not written again', async () => {
  await archive(...records(0, 9))
  const sink = newSink()
  expect((await sink.write(records(0, 12))).through).toBe(9)
  expect(await flush(sink)).toBe(12)
  expect(await ranges()).toEqual([
    [0, 9],
    [10, 12],
  ])
})

test('the same holds when the topic was compacted in between', async () => {
  await archive(...records(0, 9))
  await archive(...records(10, 19))
  const sink = newSink()
  await sink.write([record(12), record(19), record(23)])
  await flush(sink)
  expect(await ranges()).toEqual([
    [0, 9],
    [10, 19],
    [23, 23],
  ])
})

test('offsets set back to any place write nothing twice and fill what was left out', async () => {
  await archive(...records(0, 9))
  await archive(...records(10, 19))
  await archive(...records(30, 39))
  for (const from of [0, 5, 9, 10, 12, 19]) {
    const sink = newSink()
    const { through } = await sink.write(records(from, 25))
    expect(through).toBe(19)
  }
  const sink = newSink()
  expect((await sink.write(records(3, 45))).through).toBe(39)
  await flush(sink)
  expect(await ranges()).toEqual([
    [0, 9],
    [10, 19],
    [20, 29],
    [30, 39],
    [40, 45],
  ])
})

test('dates that run backwards hide no object', async () => {
  await archive(record(0, startOfDay + 30 * dayMs), record(1))
  await archive(record(2, startOfDay - 400 * dayMs), record(3))
  const sink = newSink()
  expect((await sink.write([record(2, startOfDay - 400 * dayMs), record(3), record(4)])).through).toBe(3)
  await flush(sink)
  expect((await readWholeArchive(s3, prefix)).length).toBe(3)
})

test('past dates are listed once for all partitions and terms, the last days for each term', async () => {
  for (let day = 0; day < 20; day++) await archive(record(day, startOfDay - day * dayMs))
  await archive(record(20, Date.now()))
  let lists = 0
  gate.onRequest = (method, path) => {
    if (method === 'GET' && path.includes('list-type=2')) lists++
    return null
  }
  const store = openStore(gated, prefix)
  const term = async () => {
    const after = performance.now()
    lists = 0
    const found = await Promise.all(
      Array.from({ length: 12 }, (_, partition) => store.list(topic, partition, { after, past: false })),
    )
    expect(found[4]?.map((key) => key.firstOffset)).toEqual(Array.from({ length: 21 }, (_, i) => i))
    return lists
  }
  expect(await term()).toBe(1 + 21)
  expect(await term()).toBe(1 + 1)
})

test('a listing that failed is made again', async () => {
  await archive(...records(0, 9))
  const store = openStore(gated, prefix)
  gate.onRequest = () => ({ type: 'status', status: 503, code: 'SlowDown' })
  const freshness = { after: performance.now(), past: false }
  await expect(store.list(topic, 4, freshness)).rejects.toMatchObject({ name: 'RetriableError' })
  gate.onRequest = () => null
  expect(await store.list(topic, 4, freshness)).toHaveLength(1)
})

test('an object that a twin put under a past date, after that was listed here, is gone on after', async () => {
  await archive(...records(0, 9))
  const store = openStore(s3, prefix)
  expect(await store.list(topic, 4)).toHaveLength(1)
  await archive(...records(10, 19))
  const sink = newSink({ archive: store })
  expect((await sink.write(records(15, 22))).through).toBe(19)
  expect(await flush(sink)).toBe(22)
  expect(await ranges()).toEqual([
    [0, 9],
    [10, 19],
    [20, 22],
  ])
})

test('an object whose metadata a copy dropped is understood from its rows', async () => {
  await archive(...records(0, 9))
  const [path = ''] = await archiveKeys(s3, prefix)
  const chunks = await (await s3.get(path)).toArray()
  const body = Buffer.concat(chunks)
  await s3.delete(path)
  await s3.putIfAbsent({
    key: path,
    open: () => Readable.from([body]),
    length: body.length,
    md5: createHash('md5').update(body).digest('base64'),
    contentType: 'application/avro',
    metadata: {},
  })
  const sink = newSink()
  expect((await sink.write(records(4, 12))).through).toBe(9)
})

/** Records of another log, at the offsets from `first` to `last`. */
const others = (first: number, last: number, log = 'other') =>
  records(first, last).map((r) => ({ ...r, bytes: Buffer.from(`${log} ${r.offset}`) }))

/** The incarnation of each object, and the content of its first and last rows. */
async function contents(): Promise<string[]> {
  const objects = await readWholeArchive(s3, prefix)
  return objects
    .toSorted((a, b) => (a.incarnation ?? 0) - (b.incarnation ?? 0) || a.firstOffset - b.firstOffset)
    .map(({ incarnation = 0, rows }) => `${incarnation}: ${rows[0]?.raw} to ${rows.at(-1)?.raw}`)
}

test('an object that was listed and is gone is archived again', async () => {
  await archive(...records(0, 9))
  await archive(...records(10, 19))
  const [path = ''] = await archiveKeys(s3, prefix)
  const store = openStore(s3, prefix)
  await store.list(topic, 4)
  await s3.delete(path)
  const stale = newSink({ archive: store })
  await expect(stale.write(records(0, 22))).rejects.toMatchObject({ name: 'ObjectGoneError' })
  await stale.write(records(0, 22))
  expect(await flush(stale)).toBe(22)
  expect(await ranges()).toEqual([
    [0, 9],
    [10, 19],
    [20, 22],
  ])
})

test('a topic made again goes into the next incarnation, and nothing that exists moves', async () => {
  await archive(...records(0, 9))
  const before = await archiveKeys(s3, prefix)
  const sink = newSink()
  expect((await sink.write(others(0, 4))).through).toBeNull()
  expect(await flush(sink)).toBe(4)
  expect(begun).toEqual([{ topic, partition: 4, incarnation: 1, offset: 0 }])
  expect(await archiveKeys(s3, prefix)).toEqual(expect.arrayContaining(before))
  expect(await contents()).toEqual(['0: record 0 to record 9', '1: other 0 to other 4'])
})

test('a log that lost its tail goes on in the next incarnation from the first record that differs', async () => {
  await archive(...records(0, 9))
  await archive(...records(10, 19))
  const sink = newSink()
  const settled = await sink.write([...records(0, 13), ...others(14, 25)])
  expect(settled.through).toBe(13)
  expect(await flush(sink)).toBe(25)
  expect(await contents()).toEqual([
    '0: record 0 to record 9',
    '0: record 10 to record 19',
    '1: other 14 to other 25',
  ])
})

test('offsets set back are looked for in the incarnation that they are in: nothing is written twice', async () => {
  await archive(...records(0, 19))
  await archive(...records(0, 13), ...others(14, 25))
  await archive(...others(26, 29))
  begun = []
  const before = await archiveKeys(s3, prefix)
  for (const from of [0, 13, 14, 20, 27]) {
    const log = [...records(0, 13), ...others(14, 29)].filter((r) => r.offset >= from)
    expect((await newSink().write(log)).through).toBe(29)
  }
  expect(await archiveKeys(s3, prefix)).toEqual(before)
  const sink = newSink()
  await sink.write([...others(28, 29), ...others(30, 31)])
  expect(await flush(sink)).toBe(31)
  expect(begun).toEqual([])
  expect((await contents()).at(-1)).toBe('1: other 30 to other 31')
})

test('a third log begins the third incarnation, also where it differs from the first one only', async () => {
  await archive(...records(0, 9))
  await archive(...others(0, 4, 'second'))
  await archive(...others(0, 7, 'third'))
  expect(await contents()).toEqual([
    '0: record 0 to record 9',
    '1: second 0 to second 4',
    '2: third 0 to third 7',
  ])
})

test('what the latest incarnation lacks before its beginning is added to it, up to where it begins', async () => {
  await archive(...records(0, 9))
  await archive(...others(5, 9))
  const sink = newSink()
  await sink.write([...others(0, 9), ...others(10, 12)])
  await flush(sink)
  expect(await contents()).toEqual([
    '0: record 0 to record 9',
    '1: other 0 to other 4',
    '1: other 5 to other 9',
    '1: other 10 to other 12',
  ])
})

test('two archivers that find the same other log put it once', async () => {
  await archive(...records(0, 9))
  const [one, two] = [newSink(), newSink()]
  await one.write(others(0, 5))
  await two.write(others(0, 8))
  expect(await flush(one)).toBe(5)
  await flush(two)
  expect(await flush(two)).toBe(8)
  expect(await contents()).toEqual([
    '0: record 0 to record 9',
    '1: other 0 to other 5',
    '1: other 6 to other 8',
  ])
})

test('a late twin that holds another log under the same name costs no record', async () => {
  const sink = newSink()
  await sink.write([...records(0, 3), ...others(4, 9)])
  await archive(...records(0, 7))
  await flush(sink)
  expect(await flush(sink)).toBe(9)
  expect(await contents()).toEqual(['0: record 0 to record 7', '1: other 4 to other 9'])
})

test('a twin of another log that goes on beyond our object hides none of the records behind it', async () => {
  const sink = newSink()
  await sink.write(records(0, 3))
  await archive(...records(0, 7))
  expect(await flush(sink)).toBe(3)
  await sink.write(others(4, 9))
  expect(await flush(sink)).toBe(9)
  expect(await contents()).toEqual(['0: record 0 to record 7', '1: other 4 to other 9'])
})

test('a record that is known raw is the same decoded, and headers make no other log', async () => {
  await archive(...records(0, 9))
  const sink = newSink()
  const headers = [{ name: 'restore.offset', value: Buffer.from('3') }]
  expect((await sink.write(records(0, 9).map((r) => ({ ...r, headers })))).through).toBe(9)
  expect(begun).toEqual([])
})

test.each([
  ['503', { type: 'status', status: 503, code: 'SlowDown' }],
  ['500', { type: 'status', status: 500, code: 'InternalError' }],
  ['409', { type: 'status', status: 409, code: 'ConditionalRequestConflict' }],
  ['403', { type: 'status', status: 403, code: 'AccessDenied' }],
  ['a reset in the middle of the body', { type: 'cut-body' }],
] as const)(
  'a put that fails by %s is retriable: the same object goes out later, each record once',
  async (_, fault) => {
    let failures = 3
    gate.onRequest = (method) => (method === 'PUT' && failures-- > 0 ? fault : null)
    const sink = newSink({ store: gated, objectBytes: 300 })
    const batch = records(0, 39)
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(sink.write(batch)).rejects.toMatchObject({ name: 'RetriableError' })
    }
    await sink.write(batch)
    await flush(sink)
    const found = await ranges()
    expectTiled(found, 39)
  },
)

test('a put whose answer was lost is recognised as done', async () => {
  gate.onRequest = (method) => (method === 'PUT' ? { type: 'lost-answer' } : null)
  const sink = newSink({ store: gated })
  await sink.write(records(0, 9))
  now = 300_000
  await expect(sink.tick()).rejects.toMatchObject({ name: 'RetriableError' })
  const puts: string[] = []
  gate.onRequest = (method, path) => {
    if (method === 'PUT') puts.push(path)
    return null
  }
  expect((await sink.tick()).through).toBe(9)
  expect(puts).toEqual([])
  expect(await ranges()).toEqual([[0, 9]])
})

test.each(['GET', 'HEAD'])(
  'an outage while the archive is looked at (%s) keeps nothing and loses nothing',
  async (failing) => {
    await archive(...records(0, 9))
    let failures = 2
    gate.onRequest = (method) =>
      method === failing && failures-- > 0 ? { type: 'status', status: 503, code: 'SlowDown' } : null
    const sink = newSink({ store: gated })
    const batch = records(5, 15)
    await expect(sink.write(batch)).rejects.toMatchObject({ name: 'RetriableError' })
    await expect(sink.write(batch)).rejects.toMatchObject({ name: 'RetriableError' })
    expect((await sink.write(batch)).through).toBe(9)
    await flush(sink)
    expect(await ranges()).toEqual([
      [0, 9],
      [10, 15],
    ])
  },
)
