import type { CliContext } from '../../cli/command.ts'
import type { RestoreOptions } from '../../cli/restore.ts'
import { sameLog } from '../../lib/archive/key.ts'
import { openCodec } from '../../lib/codec.ts'
import { createClient } from '../../lib/kafka/client.ts'
import { Producer } from '../../lib/kafka/producer.ts'
import type { OpenSink } from '../../lib/kafka/sink.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { subjectOf } from '../../lib/topology.ts'
import { restoreErasedMarks } from '../account/erased-marks.ts'
import type { Archive, Broker } from '../operator.ts'
import { isWithin, toLimits } from '../rerun/bounds.ts'
import { openBurial } from '../rerun/burial.ts'
import { carryOut } from '../rerun/carry-out.ts'
import { readErasedUsers } from '../rerun/erased.ts'
import { Feeder } from '../rerun/feeder.ts'
import type { Run, Stretch } from '../rerun/journal.ts'
import { loaderPortion, loaderSinks, readSureTime } from '../rerun/loader-sinks.ts'
import type { Pace } from '../rerun/pace.ts'
import { openPace } from '../rerun/pace.ts'
import { report } from '../rerun/report.ts'
import { addMissing, countSettled } from '../rerun/tally.ts'
import { afterRestore, noteLogs } from './after.ts'
import type { Framing } from './framing.ts'
import { openFraming } from './framing.ts'
import { isWholeLog, missingAfter } from './missing.ts'
import type { ArchiveObject } from './objects.ts'
import type { RestoreChoice } from './plan.ts'
import { resolveTopic } from './plan.ts'
import type { Row } from './rows.ts'
import { DamagedObjectError, readPortions, toRecord } from './rows.ts'
import { isCopy, topicSinks } from './topic-sink.ts'

export interface RestoreRun {
  broker: Broker
  sql: Postgres
  archive: Archive
  choice: RestoreChoice
  objects: readonly ArchiveObject[]
  run: Run
  options: RestoreOptions
}

/** Carries a restore out and reconciles. @returns an exit code */
export async function runRestore(context: CliContext, going: RestoreRun): Promise<number> {
  const { sql, run, archive, objects, options, choice } = going
  const signal = context.interruption()
  const pace = openPace(options.rate ?? null, { portion: loaderPortion, signal })
  const resume = `songswap restore${options.toTopic ? ' --to-topic' : ''} --resume ${run.id} --execute`
  const ms = await carryOut(context, {
    ...{
      sql,
      run,
      signal,
      resume,
      total: objects.reduce((sum, o) => sum + o.lastOffset + 1 - o.firstOffset, 0),
    },
    async *parts(onRead) {
      if (!options.toTopic) await restoreErasedMarks(archive, sql)
      for (const topic of choice.topics)
        yield await openTopicReader(context, { ...going, topic, signal, pace, onRead })
    },
  })
  const kind = options.toTopic ? 'topic' : 'rows'
  const published = { deadLetters: options.deadLetters ?? false }
  report(context, { run, kind, options: published, ms, aborted: signal.aborted, resume })
  if (kind === 'rows') {
    await noteLogs(sql, run.plan.stretches)
    await afterRestore(context, sql)
  }
  const { damaged, missing } = run.tally
  const isWhole = damaged.length === 0 && missing.length === 0
  return signal.aborted || !isWhole ? exitCodes.fault : exitCodes.stopped
}

interface TopicReading extends RestoreRun {
  topic: string
  signal: AbortSignal
  pace: Pace
  onRead: (records: number) => void
}

interface Feeding extends TopicReading {
  feeder: Feeder
  toRecords: (
    rows: Row[],
    schema: Parameters<Framing['toBytes']>[1],
    log: Pick<ArchiveObject, 'incarnation'>,
  ) => Promise<Parameters<Feeder['feed']>[0]['records']>
}

/** A function that reads all that is left of a topic and feeds it; may be called again after an outage. */
async function openTopicReader(context: CliContext, reading: TopicReading): Promise<() => Promise<void>> {
  const { scope, log } = context
  const { broker, run, options, signal, onRead, objects } = reading
  const topic = resolveTopic(reading.topic, broker.topology)
  const { groups } = broker.topology
  const group = topic === broker.topology.recentlyPlayed ? groups.loaderHistory : groups.loaderMetadata
  const openSink = await openSinks(context, reading, group)
  const { tally } = run
  const bury = openBurial({ broker, scope, log, group, tally, publish: options.deadLetters ?? false })
  const toRecords = await openConversion(reading, subjectOf(topic))
  const onSettled = countSettled(tally, onRead)
  const stretches = run.plan.stretches.filter((s) => s.topic === topic.name)

  return async () => {
    const feeder = new Feeder({ openSink, bury, onSettled, signal })
    try {
      const feeding = { ...reading, feeder, toRecords }
      const logs = Map.groupBy(stretches, (s) => s.partition)
      const partitions = [...logs.values()].map((of) => readPartition(feeding, of, objects))
      // All of them end before the feeder is closed, whichever failed first.
      const failed = (await Promise.allSettled(partitions)).find((p) => p.status === 'rejected')
      if (failed) throw failed.reason
      await feeder.finish()
      if (!signal.aborted) for (const s of stretches) s.next = s.to
    } finally {
      await feeder.close()
    }
  }
}

async function openSinks(
  { scope, log }: CliContext,
  { broker, sql, run, options }: TopicReading,
  group: string,
): Promise<OpenSink<SpotifyResponse>> {
  const { tally } = run
  const rerun = { sureTime: await readSureTime(sql) }
  if (!options.toTopic) return loaderSinks({ group, topology: broker.topology, sql, log, tally, rerun })
  const producer = await scope.use(new Producer({ client: createClient(broker.client), log }), 'producer')
  return topicSinks(producer, tally)
}

/** Chosen rows as records, with their bytes where somebody will want them. */
async function openConversion(reading: TopicReading, subject: string): Promise<Feeding['toRecords']> {
  const { broker, sql, options, choice } = reading
  const { config } = broker.client
  const codec = openCodec(config)
  const framing = options.toTopic || options.deadLetters ? openFraming(config.registryUrl, subject) : null
  const isPages = reading.topic === broker.topology.recentlyPlayed.name
  const erased = isPages ? await readErasedUsers(sql) : new Set()
  const isWanted = (row: Row) => {
    const owner = row.key?.toString('latin1') ?? ''
    const limits = toLimits(choice, row.partition)
    if (!limits || !isWithin(limits, row) || erased.has(owner)) return false
    if (choice.user !== null && owner !== String(choice.user)) return false
    return !(options.toTopic && isCopy(row))
  }
  return (rows, schema, log) =>
    Promise.all(
      rows.filter(isWanted).map(async (row) => {
        const record = await toRecord(row, codec, log)
        return framing ? { ...record, bytes: await framing.toBytes(row, schema) } : record
      }),
    )
}

/** The logs of a partition, one after the other in the order of their incarnations. */
async function readPartition(
  feeding: Feeding,
  stretches: readonly Stretch[],
  objects: readonly ArchiveObject[],
): Promise<void> {
  for (const stretch of stretches) {
    const own = objects.filter((o) => sameLog(o, stretch))
    await readLog(feeding, stretch, own)
  }
}

async function readLog(feeding: Feeding, stretch: Stretch, objects: readonly ArchiveObject[]): Promise<void> {
  const { signal, run } = feeding
  for (const object of objects) {
    if (signal.aborted) return
    if (object.lastOffset < stretch.next) continue
    try {
      await readObject(feeding, stretch, object)
    } catch (error) {
      if (!(error instanceof DamagedObjectError)) throw error
      const known = run.tally.damaged.some((d) => d.key === object.path)
      if (!known) run.tally.damaged.push({ key: object.path, reason: error.message })
    }
  }
}

async function readObject(feeding: Feeding, stretch: Stretch, object: ArchiveObject): Promise<void> {
  const { archive, pace, signal, feeder, toRecords, broker, run } = feeding
  let lastRow = -1
  for await (const { rows, schema } of readPortions(archive.s3, object, pace.portion)) {
    const due = rows.filter((row) => row.offset >= stretch.next && row.offset < stretch.to)
    const last = due.at(-1)
    lastRow = rows.at(-1)?.offset ?? lastRow
    if (signal.aborted) return
    if (!last) continue
    await pace.wait(due.length)
    const records = await toRecords(due, schema, object)
    await feeder.feed({ stretch, records, read: due.length, through: last.offset })
  }
  if (!isWholeLog(broker, object.topic)) return
  const missing = await missingAfter(archive.s3, object, lastRow)
  if (missing) addMissing(run.tally, [missing])
}
