import type { CliContext } from '../../cli/command.ts'
import type { Replayed, ReplayOptions } from '../../cli/replay.ts'
import { openCodec } from '../../lib/codec.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { Rebuild } from '../../services/loader/rebuild.ts'
import { segmentDays } from '../account/topics.ts'
import type { Broker } from '../operator.ts'
import { openBurial } from '../rerun/burial.ts'
import { carryOut } from '../rerun/carry-out.ts'
import { readErasedUsers } from '../rerun/erased.ts'
import type { FeederOptions } from '../rerun/feeder.ts'
import { Feeder } from '../rerun/feeder.ts'
import type { Run, Stretch } from '../rerun/journal.ts'
import { recordsLeft } from '../rerun/journal.ts'
import { loaderPortion, loaderSinks, readSureTime } from '../rerun/loader-sinks.ts'
import type { Pace } from '../rerun/pace.ts'
import { openPace } from '../rerun/pace.ts'
import { report } from '../rerun/report.ts'
import type { Tally } from '../rerun/tally.ts'
import { countSettled } from '../rerun/tally.ts'
import { archiveSinks } from './archive-sinks.ts'

export interface ReplayRun {
  broker: Broker
  sql: Postgres
  replayed: Replayed
  run: Run
  options: ReplayOptions
}

/** Carries a replay out and reconciles. @returns an exit code */
export async function runReplay(context: CliContext, going: ReplayRun): Promise<number> {
  const { sql, run, replayed, options } = going
  const signal = context.interruption()
  const pace = openPace(options.rate ?? null, { portion: loaderPortion, signal })
  const resume = `songswap replay ${replayed.group} --resume ${run.id} --execute`
  const ms = await carryOut(context, {
    ...{ sql, run, signal, resume, total: recordsLeft(run.plan) },
    async *parts(onRead) {
      yield await openReader(context, { ...going, signal, pace, onRead })
    },
  })
  const kind = replayed.isArchiver ? 'archive' : 'rows'
  report(context, { run, kind, options, ms, aborted: signal.aborted, resume })
  if (run.tally.recordsPut > 0) await nameErased(context, going)
  return signal.aborted ? exitCodes.fault : exitCodes.stopped
}

/** The topic holds pages of erased users until it forgets them: an object put anew has them again. */
async function nameErased({ out }: CliContext, { sql, replayed }: ReplayRun): Promise<void> {
  const keptDays = Math.max(...replayed.topics.map((t) => t.retentionDays ?? 0))
  const { rows } = await sql.query<{ user_id: number }>(
    `select user_id from erased_users where erased_at > now() - $1 * interval '1 day' order by 1`,
    [keptDays + segmentDays],
  )
  if (rows.length === 0) return
  out.say('\nThe new objects may hold pages of users who were erased. Erase them there too:')
  for (const { user_id } of rows) out.say(`  songswap account erase ${user_id} --execute`)
}

export interface Reading extends ReplayRun {
  signal: AbortSignal
  pace: Pace
  onRead: (records: number) => void
}

/** A function that reads all that is left and feeds it to the sinks; may be called again after an outage. */
async function openReader(context: CliContext, reading: Reading): Promise<() => Promise<void>> {
  const { scope, log } = context
  const { broker, sql, replayed, run, options, signal, onRead } = reading
  const { tally } = run
  const { group, topics, isArchiver } = replayed
  const archive = isArchiver ? await archiveSinks(context, { topics, tally }) : null
  const rebuild = (await isWhole(reading)) ? new Rebuild() : null
  const rerun = { sureTime: await readSureTime(sql), ...(rebuild && { rebuild }) }
  const openSink = archive?.open ?? loaderSinks({ group, topology: broker.topology, sql, log, tally, rerun })
  const bury = openBurial({ broker, scope, log, group, tally, publish: options.deadLetters })
  const onSettled = countSettled(tally, onRead)
  const feed = await openFeed(reading, { openSink, bury, onSettled, ripen: archive?.ripen })
  return async () => {
    await feed()
    if (rebuild && !signal.aborted) await finishRebuild(sql, rebuild, tally)
  }
}

/** Reads all that is left of a run and feeds it to sinks. */
export async function openFeed(
  reading: Reading,
  to: Omit<FeederOptions, 'signal'> & { ripen?: (() => void) | undefined },
): Promise<() => Promise<void>> {
  const { broker, replayed, run, signal } = reading
  const { ripen, ...options } = to
  const wanted = await openChoice(reading)
  return async () => {
    const feeder = new Feeder({ ...options, signal })
    try {
      for (const topic of replayed.topics) {
        const stretches = run.plan.stretches.filter((s) => s.topic === topic.name && s.next < s.to)
        await skipForgotten(broker, run, stretches)
        await readTopic(reading, { stretches, feeder, wanted })
      }
      await feeder.finish(ripen)
      // The last offsets of a range may be gone from a compacted topic.
      if (!signal.aborted) for (const s of run.plan.stretches) s.next = s.to
    } finally {
      await feeder.close()
    }
  }
}

/** Whether a run reads all pages that there ever were, in one go, so that it knows what no page has said. */
async function isWhole({ broker, replayed, run, sql }: Reading): Promise<boolean> {
  const { plan, tally } = run
  const { recentlyPlayed, groups } = broker.topology
  if (replayed.group !== groups.loaderHistory || typeof plan.choice.user === 'number') return false
  if (tally.read > 0 || plan.stretches.some(({ from }) => from > 0)) return false
  // Pages of an earlier log are in the archive alone.
  const { rowCount } = await sql.query('select from log_incarnations where topic = $1 and incarnation > 0', [
    recentlyPlayed.name,
  ])
  if (rowCount || (await readElsewhere(sql, plan.stretches))) return false
  const ends = (await broker.admin.readEnds(recentlyPlayed.name)) ?? []
  return ends.every(({ partition, start, end }) => {
    const stretch = plan.stretches.find((s) => s.partition === partition)
    return start === 0 && (end === 0 || stretch !== undefined)
  })
}

/**
 * Whether the tables may say what other pages have said: a restore has loaded rows, from the archive or from a file, or
 * a play names a page outside the range.
 */
async function readElsewhere(sql: Postgres, stretches: readonly Stretch[]): Promise<boolean> {
  const { rows } = await sql.query<{ found: boolean }>(
    `select exists (select from reruns where command = 'restore') or exists (
       select from plays p where p.page_incarnation <> 0 or not exists (
         select from unnest($1::int[], $2::bigint[]) as s (partition, "to")
         where s.partition = p.page_partition and p.page_offset < s."to"
       )
     ) as found`,
    [stretches.map((s) => s.partition), stretches.map((s) => s.to)],
  )
  return rows[0]?.found ?? true
}

async function finishRebuild(sql: Postgres, rebuild: Rebuild, tally: Tally): Promise<void> {
  const { judged, rows } = await sql.transaction((sql) => rebuild.finish(sql))
  tally.unjudged = Math.max(0, tally.unjudged - judged)
  tally.catalogueRows += rows
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
  const codec = openCodec(broker.client.config)
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
