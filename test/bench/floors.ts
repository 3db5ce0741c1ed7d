import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { zstdCompressSync } from 'node:zlib'
import { openCodec } from '../../lib/codec.ts'
import { kafkaConfig, kafkaEnv, parseEnv, postgresEnv, s3Config, s3Env } from '../../lib/config.ts'
import { Health } from '../../lib/health.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import { openLog } from '../../lib/log.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { openS3 } from '../../lib/s3.ts'
import { topology } from '../../lib/topology.ts'
import { insertPlays } from '../../services/loader/history-store.ts'
import type { PlayRow } from '../../services/loader/transform.ts'
import { copyPlays } from './copy.ts'
import { expectEqual } from './measure.ts'
import type { Pages } from './pages.ts'
import { trackId } from './pages.ts'

/** Pages and seconds of a floor, without preparations. */
export interface FloorResult {
  pages: number
  seconds: number
  cpuSeconds: number
}

/**
 * Lower bounds of a service's cost: only the work that it cannot avoid. Each runs in its own process; the parsing
 * ones need no server.
 */
export const floors: Record<string, (pages: Pages) => Promise<FloorResult>> = {
  /** One `JSON.parse` a page, as in any parser of pages. */
  parse: async (pages) => parseAll(pages, (body) => body.toString('utf8')),
  /** The same with each byte as a character. */
  'parse-latin1': async (pages) => parseAll(pages, (body) => body.toString('latin1')),
  consume,
  unnest: (pages) => writeAll(pages, insertPlays),
  copy: (pages) => writeAll(pages, copyPlays),
  's3-put': putAll,
}

const heldAtOnce = 250

function parseAll(pages: Pages, read: (body: Buffer) => string): FloorResult {
  const clock = startClock()
  let items = 0
  for (let index = 0; index < pages.count; index += heldAtOnce) {
    clock.pause()
    const count = Math.min(heldAtOnce, pages.count - index)
    const bodies = Array.from({ length: count }, (_, i) => pages.page(index + i).body)
    clock.resume()
    for (const body of bodies) items += JSON.parse(read(body)).items.length
  }
  expectEqual('Items', items, pages.count * 50)
  return clock.result(pages.count)
}

/** Reads the topic through our own consumer and codec, with an empty handler. */
async function consume(pages: Pages): Promise<FloorResult> {
  const config = kafkaConfig(parseEnv(kafkaEnv, process.env))
  const log = openLog('floor', 'error')
  const codec = openCodec(config)
  const fail = (error: unknown) => log.error({ err: error }, 'failed')
  const kafka = await openKafka({ config, codec, log, health: new Health(), name: 'floor', fail })
  const { promise: done, resolve } = Promise.withResolvers<void>()
  let clock: Clock | null = null
  let seen = 0
  await kafka.consume({
    group: `${config.prefix}bench.consume.${process.pid}`,
    topic: topology(config.prefix).recentlyPlayed,
    batchMaxRecords: 100,
    batchMaxBytes: 16 << 20,
    handler: (records) => async () => {
      clock ??= startClock()
      seen += records.filter((record) => record.value.body.length > 0).length
      if (seen === pages.count) resolve()
      return []
    },
  })
  await done
  const result = (clock as Clock | null)?.result(pages.count)
  await kafka.close()
  if (!result) throw new Error('Nothing was consumed')
  return result
}

/** New plays of 100 pages, as pages overlap by half. */
const playsPerTransaction = 2_500
const connections = 3

/** Writes every play once, sorted, in transactions of {@link playsPerTransaction} over three connections. */
async function writeAll(pages: Pages, write: typeof insertPlays): Promise<FloorResult> {
  const url = parseEnv(postgresEnv, process.env).DATABASE_URL
  const postgres = openPostgres({ url, connections, name: 'floor', log: openLog('floor', 'error') })
  await postgres.query('truncate plays')
  const rows = Iterator.from(toRows(pages)).toArray()
  const starts = Array.from({ length: Math.ceil(rows.length / playsPerTransaction) }, (_, i) => i)
  const clock = startClock()
  const work = async () => {
    for (let i = starts.shift(); i !== undefined; i = starts.shift()) {
      const part = rows.slice(i * playsPerTransaction, (i + 1) * playsPerTransaction)
      await postgres.transaction((sql) => write(sql, part))
    }
  }
  await Promise.all(Array.from({ length: connections }, work))
  const result = clock.result(pages.count)
  const { rows: counted } = await postgres.query<{ n: number }>('select count(*) as n from plays')
  expectEqual('Plays', counted[0]?.n, rows.length)
  await postgres.close()
  return result
}

function* toRows(pages: Pages): Generator<PlayRow> {
  for (const { userId, playedAt, track } of pages.plays()) {
    yield {
      userId: String(userId),
      playedAt,
      trackId: trackId(track),
      contextType: 'playlist',
      contextUri: 'spotify:playlist:37i9dQZF1DXcBWIGoYBM5M',
      source: 'poll',
      partition: userId % 12,
      offset: 0,
      timestamp: null,
      incarnation: 0,
    }
  }
}

/** One for each partition of the topic. */
const putsAtOnce = 12
const objectBytes = 2 << 20
const blockBytes = 1 << 20

/** Puts objects of {@link objectBytes} with the pages' bytes, compressed before the clock runs. */
async function putAll(pages: Pages): Promise<FloorResult> {
  const s3 = openS3(s3Config(parseEnv(s3Env, process.env)))
  const objects = toObjects(pages).entries().toArray()
  const clock = startClock()
  const work = async () => {
    for (let next = objects.shift(); next; next = objects.shift()) {
      const [n, body] = next
      const result = await s3.putIfAbsent({
        key: `floor-${process.pid}/${n}`,
        open: () => Readable.from([body], { objectMode: false }),
        length: body.length,
        md5: createHash('md5').update(body).digest('base64'),
        contentType: 'application/avro',
        metadata: {},
      })
      expectEqual('Put', result, 'put')
    }
  }
  await Promise.all(Array.from({ length: putsAtOnce }, work))
  const result = clock.result(pages.count)
  await s3.close()
  return result
}

function toObjects(pages: Pages): Buffer[] {
  const objects: Buffer[] = []
  const take = takeBlocks(blockBytes, (block) => whole.add(zstdCompressSync(block)))
  const whole = takeBlocks(objectBytes, (object) => objects.push(object))
  for (let index = 0; index < pages.count; index++) take.add(pages.page(index).body)
  take.end()
  whole.end()
  return objects
}

/** Joins buffers into blocks of at least `size`; `end` flushes the rest. */
function takeBlocks(size: number, onBlock: (block: Buffer) => void) {
  let parts: Buffer[] = []
  let length = 0
  const end = () => {
    if (length > 0) onBlock(Buffer.concat(parts))
    parts = []
    length = 0
  }
  return {
    end,
    add(part: Buffer) {
      parts.push(part)
      length += part.length
      if (length >= size) end()
    },
  }
}

interface Clock {
  pause(): void
  resume(): void
  result(pages: number): FloorResult
}

function startClock(): Clock {
  let seconds = 0
  let cpuSeconds = 0
  let startedAt = performance.now()
  let cpuBefore = process.cpuUsage()
  const pause = () => {
    const { user, system } = process.cpuUsage(cpuBefore)
    seconds += (performance.now() - startedAt) / 1000
    cpuSeconds += (user + system) / 1e6
  }
  return {
    pause,
    resume() {
      startedAt = performance.now()
      cpuBefore = process.cpuUsage()
    },
    result(pages) {
      pause()
      return { pages, seconds, cpuSeconds }
    },
  }
}
