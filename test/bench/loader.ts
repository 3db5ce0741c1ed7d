import { Client } from 'pg'
import type { Load } from './load.ts'
import type { Measurement } from './measure.ts'
import { expectEqual, untilDone, watchServers } from './measure.ts'
import type { LogLine, Service } from './service.ts'
import { startProcess } from './service.ts'
import { cpuSeconds, peakRssMb } from './usage.ts'

/**
 * Runs the real loader as one or more processes, from the topic's beginning to its end, into an empty database. The
 * clock runs from the last assignment to the last commit. Then the tables must have exactly what the pages show.
 */
export async function measureLoaders(
  load: Load,
  processes: number,
  prepare: (databaseUrl: string) => Promise<void> = async () => undefined,
): Promise<Measurement> {
  const { stack, pages } = load
  const { topics } = stack
  const database = await stack.freshDatabase()
  await prepare(database.DATABASE_URL)
  await stack.rewind(topics.groups.loaderHistory, topics.recentlyPlayed.name)
  const loaders = Array.from({ length: processes }, () =>
    startProcess('services/loader/main.ts', { ...stack.env, ...database, LOG_LEVEL: 'info' }),
  )
  const share = topics.recentlyPlayed.partitions / processes
  const isReady = (line: LogLine) =>
    line.msg === 'partitions_assigned' &&
    line.group === topics.groups.loaderHistory &&
    line.partitions === share
  await Promise.all(loaders.map((loader) => loader.line(isReady)))
  const startedAt = Date.now()
  const before = loadedPages(loaders)
  const cpuBefore = loaders.map((loader) => cpuSeconds(loader.pid))
  const serverCpu = watchServers(stack, ['postgres', 'kafka'])

  await untilDone('all pages are loaded', () => loadedPages(loaders) >= pages.count)
  const cpu = loaders.map((loader, i) => cpuSeconds(loader.pid) - (cpuBefore[i] ?? 0))
  const measurement = {
    pages: loadedPages(loaders) - before,
    seconds: (lastLoadedAt(loaders) - startedAt) / 1000,
    cpuSeconds: cpu.reduce((a, b) => a + b, 0),
    serverCpuSeconds: serverCpu(),
    peakRssMb: Math.max(...loaders.map((loader) => peakRssMb(loader.pid))),
    details: { pagesPerBatch: pages.count / stored(loaders).length },
  }
  await Promise.all(loaders.map((loader) => loader.stop()))
  await checkTables(database.DATABASE_URL, load)
  await stack.dropDatabase(database.DATABASE_URL)
  return measurement
}

function stored(loaders: readonly Service[]): LogLine[] {
  return loaders.flatMap((loader) => loader.lines.filter((line) => line.msg === 'history_stored'))
}

/** Counts pages by the highest offset of each partition, as a rebalance may repeat some. */
function loadedPages(loaders: readonly Service[]): number {
  const ends = new Map<number, number>()
  for (const { partition, offset, records } of stored(loaders)) {
    const end = Number(offset) + Number(records)
    ends.set(Number(partition), Math.max(end, ends.get(Number(partition)) ?? 0))
  }
  return ends.values().reduce((sum, end) => sum + end, 0)
}

function lastLoadedAt(loaders: readonly Service[]): number {
  return Math.max(...stored(loaders).map((line) => Date.parse(String(line.time))))
}

const countSql = `
  select count(*) as plays,
    md5(string_agg(
      user_id || ' ' || (extract(epoch from played_at) * 1000)::bigint || ' ' || track_id,
      ',' order by user_id, played_at
    )) as "playsMd5",
    (select count(*) from tracks where name <> '')::int as tracks,
    (select count(*) from albums)::int as albums,
    (select count(*) from artists)::int as artists
  from plays where user_id <= $1`

async function checkTables(databaseUrl: string, { expected, pages }: Load): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows } = await client.query(countSql, [pages.shape.users])
    expectEqual('What the tables hold', { ...rows[0], plays: Number(rows[0]?.plays) }, expected)
  } finally {
    await client.end()
  }
}
