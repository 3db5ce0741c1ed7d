import { openPostgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import { metricOf } from '../support/metric-of.ts'
import type { Load } from './load.ts'
import { pageDigest } from './load.ts'
import type { Measurement } from './measure.ts'
import { expectEqual, watchServers } from './measure.ts'
import { Pages } from './pages.ts'
import { readPages } from './read-pages.ts'
import type { Service } from './service.ts'
import { startProcess } from './service.ts'
import { addUsers, startAnswerer } from './spotify.ts'
import type { Stack } from './stack.ts'
import { cpuSeconds, peakRssMb } from './usage.ts'

const concurrency = 16
const idleUsers = 100_000
const askEveryMs = 250
let runs = 0

/**
 * One poller polls due users, half as many as the load has pages, beside 100,000 idle ones, until each due user has
 * been polled once. Then every page must be in the topic once, with the bytes of its answer.
 */
export async function measurePoller({ stack, pages }: Load): Promise<Measurement> {
  const shape = { ...pages.shape, pages: Math.ceil(pages.count / 2) }
  const { count } = new Pages(shape)
  const { topics, ...prefix } = await stack.freshTopics(`poller-${++runs}`)
  const database = await stack.freshDatabase()
  const answerer = await startAnswerer(shape)
  const sql = openPostgres({
    ...{ url: new Secret(database.DATABASE_URL), connections: 1, name: 'bench', log: stack.log },
  })
  await addUsers(sql, stack, { due: count, idle: idleUsers })
  const serverCpu = watchServers(stack, ['postgres', 'kafka'])
  const env = { ...stack.env, ...prefix, ...database, ...answerer.env, POLL_CONCURRENCY: `${concurrency}` }
  const poller = startProcess('services/poller/main.ts', { ...env, LOG_LEVEL: 'info' })
  await poller.line((line) => line.msg === 'started')
  const cpuBefore = cpuSeconds(poller.pid)
  const published = await untilPublished(poller, count)
  const measurement = {
    ...published,
    cpuSeconds: cpuSeconds(poller.pid) - cpuBefore,
    serverCpuSeconds: serverCpu(),
    peakRssMb: peakRssMb(poller.pid),
    details: { concurrency, users: count + idleUsers },
  }
  await poller.stop()
  await answerer.process.stop()
  await checkState(sql, count)
  await sql.close()
  await stack.dropDatabase(database.DATABASE_URL)
  await checkTopic(stack, { topic: topics.recentlyPlayed.name, pages: new Pages(shape) })
  return measurement
}

async function untilPublished(poller: Service, count: number): Promise<{ pages: number; seconds: number }> {
  const published = async () =>
    metricOf(await poller.metrics(), 'songswap_polls_total', { outcome: 'published' })
  const startedAt = performance.now()
  const before = await published()
  for (let now = before; now < count; now = await published()) {
    await new Promise((resolve) => setTimeout(resolve, askEveryMs))
  }
  return { pages: count - before, seconds: (performance.now() - startedAt) / 1000 }
}

async function checkState(sql: ReturnType<typeof openPostgres>, count: number): Promise<void> {
  const { rows } = await sql.query<{ polled: number }>(
    'select count(*) as polled from poll_state where last_ok_at is not null and lease_id is null',
  )
  expectEqual('Users polled', rows[0]?.polled, count)
}

async function checkTopic(stack: Stack, { topic, pages }: { topic: string; pages: Pages }): Promise<void> {
  const expected = new Set<string>()
  for (let index = 0; index < pages.count; index++) {
    expected.add(pageDigest(String(index + 1), pages.page(index).body))
  }
  let records = 0
  const seen = new Set<string>()
  await readPages(stack, topic, ({ value }) => {
    records++
    seen.add(pageDigest(value.subject, value.body))
  })
  expectEqual('Pages in the topic', records, pages.count)
  expectEqual('Pages as they were answered', seen.intersection(expected).size, pages.count)
}
