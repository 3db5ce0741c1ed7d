import { afterAll, beforeAll, expect, test } from 'vitest'
import { createClient } from '../../lib/kafka/client.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { migrateAll } from '../../lib/migrate.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { S3 } from '../../lib/s3.ts'
import { Secret } from '../../lib/secret.ts'
import type { OperationalEvent } from '../../lib/topology.ts'
import { openTestS3, readWholeArchive } from '../support/archive.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { item, pageBody } from '../support/pages.ts'
import { startService } from '../support/service.ts'
import { runSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

/* Follows docs/operations/a-topic-was-made-again.md: loader and archiver run while the topic is made again. */

let stream: Stream
let postgres: Postgres
let kafka: Kafka
let s3: S3
const minute = 60_000
const start = Date.now() - 600 * minute
const partitionsUsed = [7, 8, 9]

beforeAll(async () => {
  stream = await createStream()
  postgres = stream.openPostgres(2)
  kafka = (await stream.openKafka()).kafka
  s3 = openTestS3(stream.env)
})
afterAll(async () => {
  await s3.close()
  await stream.release()
})

/** Publishes a page for each number, with one play. */
async function publish(from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    const user = String(partitionsUsed[i % partitionsUsed.length])
    const at = start + i * minute
    const page = {
      endpoint: 'recently-played',
      subject: user,
      source: 'poll',
      status: 200,
      fetchedAt: at + 1_000,
    }
    const value = { ...page, body: pageBody([item(at, `T${i % 5}`)]) }
    await kafka.publish(stream.topology.recentlyPlayed, [{ key: user, value, timestamp: at }])
  }
}

async function makeAgain(): Promise<void> {
  const admin = createClient({ config: stream.config, log: stream.log, name: 'test' }).admin()
  const { name } = stream.topology.recentlyPlayed
  await admin.connect()
  await admin.deleteTopics({ topics: [name] })
  await until(async () => !(await admin.listTopics()).includes(name), 'the topic is gone')
  await admin.disconnect()
  await migrateAll({
    kafka: stream.config,
    databaseUrl: new Secret(stream.env.DATABASE_URL ?? ''),
    log: stream.log,
  })
}

const countPlays = async () => (await postgres.query('select from plays')).rowCount
const rowsOf = async () =>
  (
    await postgres.query(
      `select user_id, played_at, track_id, page_partition, page_offset, page_incarnation from plays order by 1, 2, 3`,
    )
  ).rows

/** Number of archived records of the topic of pages, by incarnation. */
async function archived(): Promise<Record<number, number>> {
  const sum: Record<number, number> = {}
  for (const { incarnation = 0, rows } of await readWholeArchive(s3, stream.env.S3_PREFIX ?? '')) {
    sum[incarnation] = (sum[incarnation] ?? 0) + rows.length
  }
  return sum
}

async function eventsOf(type: string): Promise<string[]> {
  const subjects: string[] = []
  for (const record of await stream.readTopic(stream.topology.events.name)) {
    const decoded = await stream.codec.decode<OperationalEvent>(record.bytes)
    if (decoded.type === 'value' && decoded.value.type === type) subjects.push(decoded.value.subject)
  }
  return subjects
}

test('a topic made again under a running stream loses no play, and archive, audit and restore know both logs', {
  timeout: 240_000,
}, async () => {
  const env = { ...stream.env, LOG_LEVEL: 'info', ARCHIVE_OBJECT_AGE_SECONDS: '1' }
  const services = [await startService('loader', env), await startService('archiver', env)]
  await publish(0, 20)
  await until(async () => (await countPlays()) === 20, 'the pages are loaded', 60_000)
  await until(async () => (await archived())[0] === 20, 'the pages are archived', 60_000)
  await makeAgain()
  await publish(20, 60)
  await until(async () => (await countPlays()) === 60, 'all pages are loaded', 90_000)
  await until(async () => (await archived())[1] === 40, 'the new log is archived beside the old one', 90_000)
  expect(await archived()).toEqual({ 0: 20, 1: 40 })
  const { loaderHistory, archiver } = stream.topology.groups
  expect((await eventsOf('log_replaced')).toSorted()).toEqual([`group:${archiver}`, `group:${loaderHistory}`])
  expect(new Set(await eventsOf('archive_incarnation'))).toEqual(
    new Set([`topic:${stream.topology.recentlyPlayed.name}`]),
  )
  const { rows: logs } = await postgres.query(
    'select page_incarnation as log, count(*)::int as plays from plays group by 1 order by 1',
  )
  // Records read from the old position, before the loader notices the new log, have the number of the old one.
  const [first, second] = logs
  expect([first?.log, second?.log, first?.plays + second?.plays]).toEqual([0, 1, 60])
  expect(second?.plays).toBeGreaterThanOrEqual(20)
  await Promise.all(services.map((s) => s.stop()))

  const audit = await runSongswap(['audit', '--json'], stream.env)
  expect(audit.code).toBe(0)
  expect(JSON.parse(audit.stdout)).toMatchObject({
    addsUp: true,
    account: { records: 40, stored: 40, duplicates: 0, missing: 0, faults: [] },
  })

  const loaded = await rowsOf()
  await postgres.query('delete from plays; delete from log_incarnations')
  const restore = await runSongswap(['restore', '--execute', '--json'], stream.env)
  expect(restore.code).toBe(0)
  expect(await rowsOf()).toEqual(loaded)

  // A restored database continues: the same log keeps its number.
  const loader = await startService('loader', env)
  await publish(60, 66)
  await until(async () => (await countPlays()) === 66, 'the next pages are loaded', 60_000)
  const { rows: latest } = await postgres.query<{ log: number }>(
    `select distinct page_incarnation as log from plays where played_at >= $1`,
    [new Date(start + 60 * minute)],
  )
  expect(latest).toEqual([{ log: 1 }])
  expect((await runSongswap(['audit', '--no-archive'], stream.env)).code).toBe(0)
  await loader.stop()
})
