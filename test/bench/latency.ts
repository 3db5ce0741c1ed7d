import { setTimeout as sleep } from 'node:timers/promises'
import { openCodec } from '../../lib/codec.ts'
import { Health } from '../../lib/health.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import type { Topology } from '../../lib/topology.ts'
import { metricOf } from '../support/metric-of.ts'
import type { Load } from './load.ts'
import type { Measurement } from './measure.ts'
import { expectEqual, quantile, untilDone, watchServers } from './measure.ts'
import type { Pages } from './pages.ts'
import { readPages } from './read-pages.ts'
import type { LogLine, Service } from './service.ts'
import { histogramQuantile, startProcess } from './service.ts'
import type { Stack } from './stack.ts'
import { cpuSeconds, peakRssMb } from './usage.ts'

const everyMs = 100
const count = 600
/** The first pages run cold code and do not count. */
const warmUp = 50
let runs = 0

/**
 * A page every 100 ms for a minute, published as by the poller, with a live loader. Latency is from the record's
 * `fetchedAt`, the time of Spotify's answer, to the loader's log line after the commit. The details also have the
 * latency by the loader's own metric.
 */
export async function measureLatency({ stack, pages }: Load): Promise<Measurement> {
  const { topics, ...prefix } = await stack.freshTopics(`latency-${++runs}`)
  const database = await stack.freshDatabase()
  const env = { ...stack.env, ...prefix, ...database, LOG_LEVEL: 'info' }
  const loader = startProcess('services/loader/main.ts', env)
  const group = topics.groups.loaderHistory
  await loader.line((line) => line.msg === 'partitions_assigned' && line.group === group)
  const serverCpu = watchServers(stack, ['postgres', 'kafka'])
  const cpuBefore = cpuSeconds(loader.pid)
  const startedAt = Date.now()
  await publishSlowly(stack, topics, pages)
  await untilDone('all pages are stored', () => stored(loader).length >= count)
  const seconds = (Date.now() - startedAt) / 1000
  const metrics = await loader.metrics()
  const own = await latencies(stack, topics, stored(loader))
  expectEqual('Pages stored', own.length, count)
  expectEqual('Latencies in the metric', metricOf(metrics, 'songswap_page_to_row_seconds_count'), count)
  const warm = own.slice(warmUp)
  const measurement = {
    ...{ pages: count, seconds, cpuSeconds: cpuSeconds(loader.pid) - cpuBefore },
    serverCpuSeconds: serverCpu(),
    peakRssMb: peakRssMb(loader.pid),
    details: {
      medianMs: quantile(warm, 0.5),
      p99Ms: quantile(warm, 0.99),
      metricMedianMs: 1000 * histogramQuantile(metrics, 'songswap_page_to_row_seconds', 0.5),
      metricP99Ms: 1000 * histogramQuantile(metrics, 'songswap_page_to_row_seconds', 0.99),
    },
  }
  await loader.stop()
  await stack.dropDatabase(database.DATABASE_URL)
  return measurement
}

async function publishSlowly(stack: Stack, topics: Topology, pages: Pages): Promise<void> {
  const { kafka: config, log } = stack
  const codec = openCodec(config)
  const fail = (error: unknown) => log.error({ err: error }, 'failed')
  const kafka = await openKafka({ config, codec, log, health: new Health(), name: 'bench', fail })
  for (let index = 0; index < count; index++) {
    const { userId, body } = pages.page(index)
    const subject = String(userId)
    const fetchedAt = Date.now()
    const value = { endpoint: 'recently-played', subject, source: 'poll', fetchedAt, status: 200, body }
    await kafka.publish(topics.recentlyPlayed, [{ key: subject, value }])
    await sleep(everyMs - (Date.now() - fetchedAt))
  }
  await kafka.close()
}

function stored(loader: Service): LogLine[] {
  return loader.lines.filter((line) => line.msg === 'history_stored')
}

/** Latency of every page in milliseconds, in the order of Spotify's answers. */
async function latencies(stack: Stack, topics: Topology, lines: readonly LogLine[]): Promise<number[]> {
  const storedAt = new Map<string, number>()
  for (const { partition, offset, records, time } of lines) {
    for (let i = 0; i < Number(records); i++) {
      storedAt.set(`${partition}/${Number(offset) + i}`, Date.parse(String(time)))
    }
  }
  const found: { fetchedAt: number; ms: number }[] = []
  await readPages(stack, topics.recentlyPlayed.name, ({ partition, offset, value: { fetchedAt } }) => {
    found.push({ fetchedAt, ms: (storedAt.get(`${partition}/${offset}`) ?? Number.NaN) - fetchedAt })
  })
  return found.toSorted((a, b) => a.fetchedAt - b.fetchedAt).map(({ ms }) => ms)
}
