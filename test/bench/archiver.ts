import { createHash } from 'node:crypto'
import { parseObjectKey } from '../../lib/archive/key.ts'
import { readArchive } from '../../lib/archive/read.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import type { S3 } from '../../lib/s3.ts'
import { openS3 } from '../../lib/s3.ts'
import type { SpotifyResponse, Topology } from '../../lib/topology.ts'
import { metricOf } from '../support/metric-of.ts'
import type { Load } from './load.ts'
import { pageDigest, publishBodies } from './load.ts'
import type { Measurement } from './measure.ts'
import { expectEqual, untilDone, watchServers } from './measure.ts'
import type { BenchPage } from './pages.ts'
import type { LogLine, Service } from './service.ts'
import { startProcess } from './service.ts'
import type { Stack } from './stack.ts'
import { cpuSeconds, peakRssMb } from './usage.ts'

/** Input and settings of one run. */
interface ArchiverRun {
  topics: Topology
  pages: number
  digests: ReadonlySet<string>
  env: Record<string, string>
}

/** Closes objects while the clock runs, and the last ones soon after it. */
const objectEnv = { ARCHIVE_OBJECT_BYTES: String(2 << 20), ARCHIVE_OBJECT_AGE_SECONDS: '3' }
const askEveryMs = 100
const largeBodies = 1_600
/** Below the broker's limit for one record. */
const largeBytes = 900_000
const largeUsers = 200
let runs = 0

/** The usual pages, in objects of 2 MiB. */
export function measureArchiver({ stack, pages, digests }: Load): Promise<Measurement> {
  return measure(stack, { topics: stack.topics, pages: pages.count, digests, env: objectEnv })
}

/**
 * 1.4 GB of bytes that zstd cannot shrink, so that objects reach their default size of 64 MiB in every partition at
 * the same time.
 */
export async function measureLargeObjects({ stack }: Load): Promise<Measurement> {
  const { topics, ...prefix } = await stack.freshTopics(`large-${++runs}`)
  const bodies = { count: largeBodies, page: largePage }
  const digests = await publishBodies(stack, topics, bodies)
  const env = { ...prefix, ARCHIVE_OBJECT_AGE_SECONDS: '20' }
  return measure(stack, { topics, pages: bodies.count, digests, env })
}

function largePage(index: number): BenchPage {
  const body = createHash('shake128', { outputLength: largeBytes }).update(`${index}`).digest()
  return { userId: (index % largeUsers) + 1, fetchedAt: index, body }
}

/**
 * Runs the real archiver from the topic's beginning to its end, into its own prefix. The clock runs from its
 * assignment until it has taken all pages; the objects that are open then are put when their age is due, and that
 * CPU counts. Then the objects must have every page once, byte for byte, without a hole.
 */
async function measure(stack: Stack, run: ArchiverRun): Promise<Measurement> {
  const group = run.topics.groups.archiver
  await stack.rewind(group, run.topics.recentlyPlayed.name)
  const prefix = `bench-${++runs}`
  const env = { ...stack.env, ...run.env, S3_PREFIX: prefix, LOG_LEVEL: 'info' }
  const archiver = startProcess('services/archiver/main.ts', env)
  await archiver.line((line) => line.msg === 'partitions_assigned' && line.group === group)
  const startedAt = performance.now()
  const cpuBefore = cpuSeconds(archiver.pid)
  const serverCpu = watchServers(stack, ['s3', 'kafka'])

  const taken = await untilTaken(archiver, { group, pages: run.pages, startedAt })
  await untilDone('all pages are in objects', () => sumOf(puts(archiver), 'records') >= run.pages)
  const measurement = {
    ...taken,
    cpuSeconds: cpuSeconds(archiver.pid) - cpuBefore,
    serverCpuSeconds: serverCpu(),
    peakRssMb: peakRssMb(archiver.pid),
    details: { objects: puts(archiver).length, archiveMb: sumOf(puts(archiver), 'bytes') / 1e6 },
  }
  await archiver.stop()
  const s3 = openS3(stack.s3)
  await checkArchive(s3, `${prefix}/`, run)
  await s3.close()
  return measurement
}

/** Pages taken, and the seconds it took; pages taken before the clock ran do not count. */
async function untilTaken(
  archiver: Service,
  of: { group: string; pages: number; startedAt: number },
): Promise<{ pages: number; seconds: number }> {
  const taken = async () =>
    metricOf(await archiver.metrics(), 'songswap_records_consumed_total', { group: of.group })
  const before = await taken()
  for (let now = before; now < of.pages; now = await taken()) {
    await new Promise((resolve) => setTimeout(resolve, askEveryMs))
  }
  return { pages: of.pages - before, seconds: (performance.now() - of.startedAt) / 1000 }
}

function puts(archiver: Service): LogLine[] {
  return archiver.lines.filter((line) => line.msg === 'object_put')
}

function sumOf(lines: readonly LogLine[], field: string): number {
  return lines.reduce((sum, line) => sum + Number(line[field]), 0)
}

/** Checks that the archive has every page once, with its published bytes, and no hole in any partition. */
async function checkArchive(s3: S3, prefix: string, run: ArchiverRun): Promise<void> {
  const nextOffsets = new Map<number, number>()
  const seen = new Set<string>()
  let records = 0
  for await (const key of s3.list(prefix)) {
    const { partition, firstOffset } = parseObjectKey(key) ?? {}
    if (partition === undefined) continue
    expectEqual(`First offset of ${key}`, firstOffset, nextOffsets.get(partition) ?? 0)
    const { rows } = await readArchive(await s3.get(key))
    for await (const row of rows) {
      expectEqual(`Offset in ${key}`, row.offset, nextOffsets.get(partition) ?? 0)
      nextOffsets.set(partition, row.offset + 1)
      seen.add(digestOf(row))
      records++
    }
  }
  expectEqual('Records in the archive', records, run.pages)
  expectEqual('Pages with the bytes that were published', seen.intersection(run.digests).size, records)
}

function digestOf({ key, value }: ArchivedRecord): string {
  return pageDigest(String(key), (value as SpotifyResponse).body)
}
