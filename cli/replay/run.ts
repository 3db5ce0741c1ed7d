import { openCodec } from '../../lib/codec.ts'
import { FloodError } from '../../lib/kafka/flood-valve.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { Broker } from '../broker.ts'
import type { CliContext } from '../command.ts'
import { CliFault } from '../fault.ts'
import { interruption } from '../interrupt.ts'
import type { Progress } from '../progress.ts'
import { openProgress } from '../progress.ts'
import type { Replayed, ReplayOptions } from '../replay.ts'
import { openBurial } from '../rerun/burial.ts'
import { readErasedUsers } from '../rerun/erased.ts'
import { Feeder } from '../rerun/feeder.ts'
import type { Run, Stretch } from '../rerun/journal.ts'
import { keepNotes, recordsLeft } from '../rerun/journal.ts'
import { loaderPortion, loaderSinks } from '../rerun/loader-sinks.ts'
import type { Pace } from '../rerun/pace.ts'
import { openPace } from '../rerun/pace.ts'
import { withPatience } from '../rerun/patience.ts'
import { report } from '../rerun/report.ts'
import { archiveSinks } from './archive-sinks.ts'

export interface ReplayRun {
  broker: Broker
  sql: Postgres
  replayed: Replayed
  run: Run
  options: ReplayOptions
}

/** Carries a replay out, notes down how far it comes, and reconciles. @returns an exit code */
export async function runReplay(context: CliContext, going: ReplayRun): Promise<number> {
  const { out, scope } = context
  const { sql, run, replayed, options } = going
  const signal = interruption(scope)
  const pace = openPace(options.rate ?? null, { portion: loaderPortion, signal })
  const progress = openProgress({ total: recordsLeft(run.plan), unit: 'records' })
  const startedAt = Date.now()
  const reader = await openReader(context, { ...going, signal, pace, progress })
  const notes = keepNotes(sql, run)
  try {
    await withPatience(reader, { progress: () => run.tally.read, say: out.say, signal })
  } catch (error) {
    if (error instanceof FloodError) throw floodFault(replayed.group, run)
    throw error
  } finally {
    progress.end()
    await notes.end(!signal.aborted)
  }
  const ms = Date.now() - startedAt
  const resume = `songswap replay ${replayed.group} --resume ${run.id} --execute`
  report(context, {
    ...going,
    kind: replayed.isArchiver ? 'archive' : 'rows',
    ms,
    aborted: signal.aborted,
    resume,
  })
  return signal.aborted ? exitCodes.fault : exitCodes.stopped
}

function floodFault(group: string, run: Run): CliFault {
  const [example = ''] = run.tally.deadExamples
  return new CliFault(
    `Stopped: too many records become dead letters. ${example}`.trim(),
    `Mend the cause and go on: songswap replay ${group} --resume ${run.id} --execute (or with --no-dead-letters)`,
  )
}

interface Reading extends ReplayRun {
  signal: AbortSignal
  pace: Pace
  progress: Progress
}

/** A function that reads all that is left and feeds it to the sinks; may be called again after an outage. */
async function openReader(context: CliContext, reading: Reading): Promise<() => Promise<void>> {
  const { scope, log } = context
  const { broker, sql, replayed, run, options, signal, progress } = reading
  const { tally } = run
  const { group, topics, isArchiver } = replayed
  const archive = isArchiver ? await archiveSinks(context, { topics, tally }) : null
  const openSink = archive?.open ?? loaderSinks({ group, topology: broker.topology, sql, log, tally })
  const bury = openBurial({ broker, scope, log, group, tally, publish: options.deadLetters })
  const wanted = await openChoice(reading)
  const onSettled = (settled: { read: number; wanted: number }) => {
    tally.read += settled.read
    tally.passedOver += settled.read - settled.wanted
    progress.add(settled.read)
  }

  return async () => {
    const feeder = new Feeder({ openSink, bury, onSettled, signal })
    try {
      for (const topic of topics) {
        const stretches = run.plan.stretches.filter((s) => s.topic === topic.name && s.next < s.to)
        await skipForgotten(broker, run, stretches)
        await readTopic(reading, { stretches, feeder, wanted })
      }
      archive?.ripen()
      await feeder.finish()
      // The last offsets of a range may be gone from a compacted topic.
      if (!signal.aborted) for (const s of run.plan.stretches) s.next = s.to
    } finally {
      await feeder.close()
    }
  }
}

/** Which records the handlers shall see. Nothing of users who were erased, whatever the topic still holds. */
async function openChoice({ sql, replayed, run }: Reading): Promise<(record: RawRecord) => boolean> {
  // The archiver leaves nothing out: its objects have no holes.
  if (replayed.isArchiver) return () => true
  const { user } = run.plan.choice
  const erased = await readErasedUsers(sql)
  return ({ key }) => {
    const owner = key?.toString('latin1') ?? ''
    return !erased.has(owner) && (typeof user !== 'number' || owner === String(user))
  }
}

async function readTopic(
  { broker, signal, pace }: Reading,
  to: { stretches: Stretch[]; feeder: Feeder; wanted: (record: RawRecord) => boolean },
): Promise<void> {
  const [first] = to.stretches
  if (!first) return
  const codec = openCodec(broker.client.config.registryUrl)
  await readRange({
    ...broker.client,
    topic: first.topic,
    group: `${broker.client.config.prefix}songswap-replay-${crypto.randomUUID()}`,
    ranges: to.stretches.map((s) => ({ partition: s.partition, from: s.next, to: s.to })),
    portion: pace.portion,
    signal,
    async onRecords(records) {
      await pace.wait(records.length)
      const last = records.at(-1)
      const stretch = to.stretches.find((s) => s.partition === last?.partition)
      if (!last || !stretch || signal.aborted) return
      const chosen = await Promise.all(
        records
          .filter(to.wanted)
          .map(async (r) => ({ ...r, decoded: await codec.decode<SpotifyResponse>(r.bytes) })),
      )
      await to.feeder.feed({ stretch, records: chosen, read: records.length, through: last.offset })
    },
  })
}

/** What retention has removed since the plan was made will not come. */
async function skipForgotten({ admin }: Broker, run: Run, stretches: readonly Stretch[]): Promise<void> {
  const [first] = stretches
  const ends = first ? await admin.readEnds(first.topic) : []
  for (const stretch of stretches) {
    const start = ends?.find((e) => e.partition === stretch.partition)?.start ?? stretch.next
    const gone = Math.min(start, stretch.to) - stretch.next
    if (gone <= 0) continue
    run.tally.forgotten += gone
    stretch.next += gone
  }
}
