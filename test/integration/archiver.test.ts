import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { createClient } from '../../lib/kafka/client.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { OutRecord, RawRecord } from '../../lib/kafka/record.ts'
import type { S3 } from '../../lib/s3.ts'
import type { SpotifyResponse, Topic } from '../../lib/topology.ts'
import { archiveKeys, byPartition, openTestS3, readWholeArchive } from '../support/archive.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import type { S3Gate } from '../support/s3-faults.ts'
import { openS3Gate } from '../support/s3-faults.ts'
import type { ServiceProcess } from '../support/service-process.ts'
import { spawnService } from '../support/service-process.ts'
import { until, untilBack } from '../support/until.ts'

/* The archiver as operators run it: a process with real Kafka, registry and object store. */

let stream: Stream
let kafka: Kafka
let s3: S3
let gate: S3Gate
let pages: Topic<SpotifyResponse>

beforeAll(async () => {
  gate = await openS3Gate(inject('infra').S3_ENDPOINT ?? '')
})
beforeEach(async () => {
  stream = await createStream()
  kafka = (await stream.openKafka()).kafka
  s3 = openTestS3(stream.env)
  pages = stream.topology.recentlyPlayed
  gate.onRequest = () => null
  gate.onAnswer = () => undefined
})
afterEach(async () => {
  await s3.close()
  await stream.release()
})
afterAll(() => gate.close())

const startArchiver = (env: Record<string, string> = {}) =>
  spawnService('archiver', {
    ...stream.env,
    S3_ENDPOINT: gate.endpoint,
    LOG_LEVEL: 'info',
    ARCHIVE_OBJECT_AGE_SECONDS: '1',
    ...env,
  })

let serial = 0

/** Publishes pages of a few users. Their bodies are not JSON, as the archiver does not parse them. */
async function publishPages(count: number, bodyBytes = 500): Promise<void> {
  const records = Array.from({ length: count }, () => {
    const n = serial++
    return {
      key: String(n % 17),
      value: {
        endpoint: 'recently-played',
        subject: String(n % 17),
        source: 'poll',
        fetchedAt: Date.now(),
        status: 200,
        body: Buffer.from(`{"n":${n},"\u{1F3B5}":"${'x'.repeat(bodyBytes)}"}`),
      },
    }
  })
  await kafka.publish(pages, records)
}

const keyed = (records: RawRecord[]) =>
  new Map(records.map((r) => [`${r.topic}/${r.partition}/${r.offset}`, r]))

/** Waits until the archive has the topics' records, each once, and nothing else; checks every byte. */
async function expectArchived(topics: string[]): Promise<void> {
  const log = keyed((await Promise.all(topics.map((t) => stream.readTopic(t)))).flat())
  await until(async () => (await archivedCount()) >= log.size, 'all is archived', 45_000)
  const rows = [...byPartition(await readWholeArchive(s3, stream.env.S3_PREFIX ?? '')).values()].flat()
  expect(rows.length).toBe(log.size)
  for (const row of rows) {
    const original = log.get(`${row.topic}/${row.partition}/${row.offset}`)
    if (!original) throw new Error(`Not in the topic: ${row.topic}/${row.partition}/${row.offset}`)
    const { timestamp, key, headers } = original
    expect({ ...row, headers: row.headers.map((h) => ({ ...h })) }).toMatchObject({ timestamp, key, headers })
    const decoded = await untilBack(
      () => stream.codec.decode<SpotifyResponse>(original.bytes),
      'the record is decoded or known to be unreadable',
    )
    if (decoded.type === 'value')
      expect((row.value as SpotifyResponse).body.equals(decoded.value.body)).toBe(true)
    else expect([row.value, row.raw]).toEqual([null, original.bytes])
  }
}

async function archivedCount(): Promise<number> {
  let count = 0
  for (const key of await archiveKeys(s3, stream.env.S3_PREFIX ?? '')) {
    count += Number((await s3.head(key))?.metadata['record-count'] ?? 0)
  }
  return count
}

async function committedAll(): Promise<boolean> {
  const admin = createClient({ config: stream.config, log: stream.log, name: 'test' }).admin()
  await admin.connect()
  try {
    const ends = await admin.fetchTopicOffsets(pages.name)
    const [group] = await admin.fetchOffsets({
      groupId: stream.topology.groups.archiver,
      topics: [pages.name],
    })
    return ends.every(
      ({ partition, high }) =>
        high === '0' || group?.partitions.find((p) => p.partition === partition)?.offset === high,
    )
  } finally {
    await admin.disconnect()
  }
}

test('both raw topics are archived byte for byte, and committed', async () => {
  await publishPages(300)
  await kafka.publish(stream.topology.metadata, [
    {
      key: 'artist:1',
      value: {
        endpoint: 'artist',
        subject: '1',
        source: 'enrich',
        fetchedAt: 5,
        status: 404,
        body: Buffer.from(''),
      },
    },
  ])
  const archiver = await startArchiver()
  await expectArchived([pages.name, stream.topology.metadata.name])
  await until(committedAll, 'all is committed')
  expect(await archiver.metric('songswap_records_archived_total')).toBe(301)
  expect(await archiver.metric('songswap_archive_objects_total', { result: 'put' })).toBe(
    (await archiveKeys(s3, stream.env.S3_PREFIX ?? '')).length,
  )
  expect(await archiver.end('SIGTERM')).toBe(0)
})

test('what cannot be decoded is archived raw: junk, unknown schemas, tombstones, redriven records', async () => {
  const good = await stream.codec.encode(pages, {
    endpoint: 'recently-played',
    subject: '7',
    source: 'poll',
    fetchedAt: 1,
    status: 200,
    body: Buffer.from('{}'),
  })
  const unknownSchema = Buffer.from(good)
  unknownSchema.writeInt32BE(999_999, 1)
  const odd: OutRecord[] = [
    { key: '7', value: good },
    { key: '7', value: Buffer.from('junk') },
    { key: null, value: null },
    { key: Buffer.from([0, 255]), value: Buffer.alloc(0) },
    { key: '7', value: unknownSchema },
    { key: '7', value: good.subarray(0, 20) },
    { key: '7', value: Buffer.concat([good, Buffer.from([0])]) },
    {
      key: '7',
      value: good,
      timestamp: 5,
      headers: [{ name: 'redrive.group', value: Buffer.from('loader.history') }],
    },
    {
      key: '7',
      value: good,
      headers: [
        { name: 'h', value: Buffer.from('1') },
        { name: '__proto__', value: Buffer.from('2') },
        { name: 'h', value: null },
        { name: 'h', value: Buffer.alloc(0) },
      ],
    },
  ]
  await kafka.publishBytes(
    pages.name,
    odd.map((r) => ({ ...r, partition: 0 })),
  )
  await startArchiver()
  await expectArchived([pages.name])
  const objects = await readWholeArchive(s3, stream.env.S3_PREFIX ?? '')
  const [rows = []] = byPartition(objects).values()
  expect(rows.map((r) => r.value !== null)).toEqual([
    true,
    false,
    false,
    false,
    false,
    false,
    false,
    true,
    true,
  ])
})

test('killed again and again, between put and commit and in the middle of puts: no hole, no overlap', {
  timeout: 120_000,
}, async () => {
  let archiver: ServiceProcess | null = null
  let killOn: 'upload' | 'answer' | null = null
  const killed: Promise<unknown>[] = []
  const kill = () => {
    killOn = null
    if (archiver) killed.push(archiver.end('SIGKILL'))
  }
  gate.onRequest = (method) => {
    if (method !== 'PUT' || killOn !== 'upload') return null
    kill()
    return { type: 'cut-body' }
  }
  gate.onAnswer = (method, _path, status) => {
    // The object exists; the archiver dies before it gets the answer, and so before its commit.
    if (method === 'PUT' && status === 200 && killOn === 'answer') kill()
  }
  // After each death the group waits for the session timeout.
  for (const [round, when] of (['answer', 'upload'] as const).entries()) {
    await publishPages(200)
    archiver = await startArchiver({ ARCHIVE_OBJECT_BYTES: '4000' })
    killOn = when
    await until(() => killed.length === round + 1, `it was killed (${when})`)
    await killed.at(-1)
  }
  await startArchiver()
  await expectArchived([pages.name])
  await until(committedAll, 'all is committed')
})

test('several archivers that come and go share the work and never write the same twice', {
  timeout: 120_000,
}, async () => {
  await publishPages(200)
  const first = await startArchiver({ ARCHIVE_OBJECT_BYTES: '4000' })
  const second = await startArchiver({ ARCHIVE_OBJECT_BYTES: '9000' })
  await publishPages(400)
  await until(async () => (await archivedCount()) > 100, 'work is under way')
  const third = await startArchiver()
  await publishPages(400)
  await first.end('SIGKILL')
  await publishPages(200)
  expect(await second.end('SIGTERM')).toBe(0)
  await publishPages(100)
  await expectArchived([pages.name])
  await until(committedAll, 'all is committed')
  expect(await third.end('SIGTERM')).toBe(0)
})

test('an object store that is away makes it wait, alive but not ready, and go on when it is back', async () => {
  gate.onRequest = () => ({ type: 'status', status: 503, code: 'SlowDown' })
  await publishPages(50)
  const archiver = await startArchiver()
  await until(async () => (await archiver.probe('/readyz')) === 503, 'it is not ready')
  await until(() => archiver.lines.some((l) => l.msg === 'partition_paused'), 'it waits')
  expect(await archiver.probe('/healthz')).toBe(200)
  gate.onRequest = () => null
  await expectArchived([pages.name])
  await until(async () => (await archiver.probe('/readyz')) === 200, 'it is ready')
  expect((await stream.readTopic(stream.topology.deadLetters.name)).length).toBe(0)
})

test('a store that ignores If-None-Match gets no object, and operators hear of it', async () => {
  const puts: string[] = []
  gate.onRequest = async (method, path) => {
    if (method !== 'PUT') return null
    puts.push(path)
    // Deletes an existing object first, so that every put succeeds.
    const key = decodeURIComponent(path.slice(1, path.includes('?') ? path.indexOf('?') : undefined))
    await s3.delete(key.slice(key.indexOf('/') + 1))
    return null
  }
  await publishPages(50)
  const archiver = await startArchiver()
  await until(async () => (await archiver.probe('/readyz')) === 503, 'it is not ready')
  expect(await archiver.probe('/healthz')).toBe(200)
  await until(async () => {
    const events = await stream.readTopic(stream.topology.events.name)
    return events.some((e) => e.bytes?.includes('store_overwrites'))
  }, 'the event is out')
  await until(() => archiver.lines.some((l) => l.msg === 'partition_paused'), 'it waits')
  expect(puts.filter((path) => path.includes('/topic='))).toEqual([])
  expect(await archiveKeys(s3, stream.env.S3_PREFIX ?? '')).toEqual([])
  await archiver.end('SIGTERM')
  gate.onRequest = () => null
  const mended = await startArchiver()
  await expectArchived([pages.name])
  await until(async () => (await mended.probe('/readyz')) === 200, 'it is ready')
})

test('offsets set back to the earliest: nothing is written twice, and what comes next follows', {
  timeout: 120_000,
}, async () => {
  await publishPages(300)
  const before = await startArchiver({ ARCHIVE_OBJECT_BYTES: '5000' })
  await expectArchived([pages.name])
  await until(committedAll, 'all is committed')
  await before.end('SIGTERM')
  const admin = createClient({ config: stream.config, log: stream.log, name: 'test' }).admin()
  await admin.connect()
  const { archiver: groupId } = stream.topology.groups
  await until(
    () =>
      admin.resetOffsets({ groupId, topic: pages.name, earliest: true }).then(
        () => true,
        () => false,
      ),
    'the group is empty',
  )
  await admin.disconnect()
  const keys = await archiveKeys(s3, stream.env.S3_PREFIX ?? '')
  await publishPages(100)
  await startArchiver()
  await expectArchived([pages.name])
  await until(committedAll, 'all is committed')
  expect(await archiveKeys(s3, stream.env.S3_PREFIX ?? '')).toEqual(expect.arrayContaining(keys))
})

test('a member that comes and goes more often than the age of an object does not starve the archive', {
  timeout: 120_000,
}, async () => {
  await publishPages(100)
  const archiver = await startArchiver({ ARCHIVE_OBJECT_AGE_SECONDS: '8' })
  const client = createClient({ config: stream.config, log: stream.log, name: 'flapper' })
  const assigned = () => archiver.lines.filter((l) => l.msg === 'partitions_assigned').length
  const partitions = pages.partitions + stream.topology.metadata.partitions
  const hasAll = () =>
    archiver.lines.findLast((l) => l.msg === 'partitions_assigned')?.partitions === partitions
  let rebalances = 0
  while ((await archivedCount()) < 100) {
    const before = assigned()
    const flapper = client.consumer({ groupId: stream.topology.groups.archiver })
    await flapper.connect()
    await flapper.subscribe({ topics: [pages.name, stream.topology.metadata.name] })
    const joined = new Promise((resolve) => flapper.on(flapper.events.GROUP_JOIN, resolve))
    await flapper.run({ autoCommit: false, eachBatch: async () => undefined })
    await joined
    await flapper.disconnect()
    // The archiver may see one rebalance for join and leave, or two.
    await until(() => assigned() > before && hasAll(), 'the archiver has its partitions again')
    // Its time to work: less than the age of an object, and more than a put takes.
    await Promise.race([sleep(1_500), until(async () => (await archivedCount()) === 100, 'all is archived')])
    rebalances++
    expect(rebalances).toBeLessThan(20)
  }
  expect(rebalances).toBeGreaterThan(1)
  await expectArchived([pages.name])
})

test('a stop takes less than ten seconds, whatever the object store does', async () => {
  gate.onRequest = (method) => (method === 'PUT' ? { type: 'hang' } : null)
  let hangs = 0
  await publishPages(50)
  const archiver = await startArchiver()
  gate.onRequest = (method) => {
    if (method !== 'PUT') return null
    hangs++
    return { type: 'hang' }
  }
  await until(() => hangs > 0, 'a put hangs')
  const from = Date.now()
  expect(await archiver.end('SIGTERM')).toBe(0)
  expect(Date.now() - from).toBeLessThan(10_000)
})
