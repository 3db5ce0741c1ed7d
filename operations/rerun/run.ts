import { z } from 'zod'
import { FloodError } from '../../lib/kafka/flood-valve.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import { OperatorFault } from '../fault.ts'
import type { Operator, Watch } from '../operator.ts'
import type { FeederOptions, Portion } from './feeder.ts'
import { Feeder } from './feeder.ts'
import type { Run, RunName, Stretch } from './journal.ts'
import { keepNotes, recordsLeft, toResume } from './journal.ts'
import type { Pace } from './pace.ts'
import { withPatience } from './patience.ts'
import { tally } from './tally.ts'

/** Where the records of a rerun come from: a topic or the archive. */
export interface Source {
  /** Reads the rest of stretches of one topic; the logs of a partition come one after the other. */
  read(stretches: readonly Stretch[], reading: Reading): Promise<void>
}

export interface Reading {
  wanted: Wanted
  pace: Pace
  signal: AbortSignal
  /** Takes the next portion of a stretch; resolves when there is room for more. */
  take: (portion: Portion) => Promise<void>
}

/** Whether the sinks get a record; other records are only counted. */
export type Wanted = (
  record: Pick<RawRecord, 'key' | 'headers' | 'partition' | 'offset' | 'timestamp'>,
) => boolean

/** Where the records go: rows of the loader, objects of the archive, or a topic. */
export interface Sinks extends Pick<FeederOptions, 'openSink' | 'onDeadLetters'> {
  /** Moves the clock of sinks that hold records back, because no record follows. */
  ripen?: () => void
}

export interface Feeding extends Omit<Reading, 'take'>, Pick<FeederOptions, 'onSettled'> {
  source: Source
  sinks: Sinks
}

/** Feeds the rest of stretches of one topic to sinks; may be called again after an outage. */
export async function feed(stretches: readonly Stretch[], feeding: Feeding): Promise<void> {
  const { source, sinks, onSettled, signal } = feeding
  const feeder = new Feeder({ ...sinks, onSettled, signal })
  try {
    const left = stretches.filter((s) => s.next < s.to)
    await source.read(left, { ...feeding, take: (portion) => feeder.feed(portion) })
    await feeder.finish(sinks.ripen)
    // The last offsets of a range may be missing after compaction or an erasure.
    if (!signal.aborted) for (const s of stretches) s.next = s.to
  } finally {
    await feeder.close()
  }
}

/** An aborted run can be resumed later. Progress counts the records read. */
export interface RerunOptions extends Watch {
  execute: boolean
  /** Called when the run waits for the end of an outage. */
  onWait?: (why: string) => void
  /** Called when the run ends with an error; `resume` is the command line that resumes it. */
  onCutShort?: (run: number, resume: string) => void
}

export interface Rerun {
  name: RunName
  run: Run
  topics: readonly string[]
  /** Number of records to read. */
  total: number
  source: Source
  pace: Pace
  /** Runs before the first record is read. */
  prepare?: () => Promise<void>
  openWanted: (topic: string) => Promise<Wanted>
  openSinks: (topic: string) => Promise<Sinks>
  /** Runs after the last record, also when the run was stopped. */
  finish?: () => Promise<void>
}

export const rerunReport = z.object({
  run: z.int().describe('id of the run; 0 for a file'),
  finished: z.boolean().describe('false if it was stopped'),
  left: z.int().describe('records that were not read'),
  seconds: z.number(),
  ...tally.shape,
})

export type RerunReport = z.infer<typeof rerunReport>

/**
 * Carries a run out until its end or an abort. It waits outages out and keeps saving how far it has come.
 *
 * @throws OperatorFault for a flood of dead letters; any other error unchanged
 */
export async function carryOut(
  operator: Operator,
  rerun: Rerun,
  options: RerunOptions,
): Promise<RerunReport> {
  const { name, run } = rerun
  const { signal, onCutShort } = options
  const notes = keepNotes(await operator.postgres(), run)
  const startedAt = performance.now()
  try {
    await feedAll(rerun, options)
  } catch (error) {
    const resume = toResume(name, run.id)
    if (error instanceof FloodError) throw floodFault(run, resume)
    onCutShort?.(run.id, resume)
    throw error
  } finally {
    await notes.end(!signal.aborted)
  }
  return toReport(run, { startedAt, signal })
}

export function toReport(
  run: Run,
  { startedAt, signal }: { startedAt: number; signal: AbortSignal },
): RerunReport {
  const left = recordsLeft(run.plan.stretches)
  const seconds = Math.round(performance.now() - startedAt) / 1000
  return { run: run.id, finished: !signal.aborted, left, seconds, ...run.tally }
}

async function feedAll(rerun: Rerun, options: RerunOptions): Promise<void> {
  const { run, source, pace, total } = rerun
  const { tally, plan } = run
  const { signal, onProgress } = options
  let done = 0
  const onSettled = ({ read, wanted }: { read: number; wanted: number }) => {
    tally.read += read
    tally.passedOver += read - wanted
    done += read
    onProgress?.(done, total)
  }
  const patience = { ...options, progress: () => tally.read }
  await rerun.prepare?.()
  for (const topic of rerun.topics) {
    const [wanted, sinks] = [await rerun.openWanted(topic), await rerun.openSinks(topic)]
    const stretches = plan.stretches.filter((s) => s.topic === topic)
    await withPatience(() => feed(stretches, { source, sinks, wanted, pace, signal, onSettled }), patience)
  }
  await withPatience(async () => rerun.finish?.(), patience)
}

function floodFault(run: Run, resume: string): OperatorFault {
  const [example = ''] = run.tally.deadExamples
  return new OperatorFault(
    `Stopped: too many records become dead letters. ${example}`.trim(),
    `Mend the cause and go on: ${resume} (it may also publish none, see --help)`,
  )
}
