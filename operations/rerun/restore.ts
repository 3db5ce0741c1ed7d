import { restoreErasedMarks } from '../account/erased-marks.ts'
import { OperatorFault } from '../fault.ts'
import type { Archive, Broker, Operator } from '../operator.ts'
import type { ArchiveObject } from './archive-objects.ts'
import type { ArchiveChoice } from './archive-plan.ts'
import { chooseFromArchive, leftOf, resolveTopic, toStretches } from './archive-plan.ts'
import { archiveSource, pagesInArchive } from './archive-source.ts'
import type { Choice } from './bounds.ts'
import { sayOffsets } from './bounds.ts'
import type { Opening } from './conduct.ts'
import { conduct } from './conduct.ts'
import { rowFraming } from './framing.ts'
import type { Resume, Run } from './journal.ts'
import { loaderPortion } from './loader-sinks.ts'
import { continueUserIds, noteLogs } from './lost-users.ts'
import { missingAtEnd } from './missing.ts'
import { openPace } from './pace.ts'
import type { Judged } from './removals.ts'
import type { RestorePlan, RestoreReport } from './restore-report.ts'
import { sumTopic } from './restore-report.ts'
import { restoreSinks } from './restore-sinks.ts'
import type { Rerun, RerunOptions } from './run.ts'
import { addMissing, emptyTally } from './tally.ts'
import { isCopy } from './topic-sinks.ts'
import { pagesInTopic } from './topic-source.ts'
import { inRange, pagesOf } from './wanted.ts'

export interface RestoreChoice extends Choice {
  /** By the names that the operator uses, or null for pages, then metadata. */
  topics: readonly string[] | null
  user: number | null
  /** Records a second, or null for no limit. */
  rate: number | null
  /** If false, dead letters are counted but not published. */
  deadLetters: boolean
  /** If true, the records go back into their topic; else the loader's handlers store them. */
  toTopic: boolean
  resume: Resume
  /** Percentage of the plays of the range that may be removed, or null for the default. */
  allowedPercent: number | null
}

interface Going {
  operator: Operator
  broker: Broker
  archive: Archive
  asked: RestoreChoice
  signal: AbortSignal
}

/**
 * Loads records from the archive by the loader's handlers, or puts them back into their topic.
 *
 * @throws OperatorFault for an invalid choice, when it would remove too many plays, and for a flood of dead letters
 */
export async function restore(
  operator: Operator,
  asked: RestoreChoice,
  options: RerunOptions,
): Promise<RestoreReport> {
  if (asked.toTopic && !asked.topics && asked.resume === null) throw usage('--to-topic needs --topic')
  const [broker, archive] = await Promise.all([operator.broker(), operator.archive()])
  const going: Going = { operator, broker, archive, asked, signal: options.signal }
  let chosen: ArchiveObject[] | null = null
  const listed = async ({ plan }: Pick<Run, 'plan'>) => {
    const choice = plan.choice as unknown as ArchiveChoice
    chosen ??= await chooseFromArchive(archive, choice)
    return { choice, chosen, objects: leftOf(chosen, plan.stretches) }
  }
  return conduct<RestorePlan>(
    operator,
    {
      name: { command: asked.toTopic ? 'restore --to-topic' : 'restore', subject: 'archive' },
      resume: asked.resume,
      async plan() {
        const choice = toChoice(asked, broker)
        chosen = await chooseFromArchive(archive, choice)
        return { stretches: toStretches(chosen), choice: { ...choice } }
      },
      judge: async (run) => (asked.toTopic ? null : toJudged(going, run, await listed(run))),
      async show(run, { unfinished, unclaimed }) {
        const { choice, chosen, objects } = await listed(run)
        return {
          ...{ executed: false, choice },
          topics: await Promise.all(choice.topics.map((topic) => sumTopic(broker, topic, objects))),
          objects: objects.map((o) => o.path),
          missing: await missingAtEnd(broker, choice, chosen),
          ...{ unfinished, unclaimed },
        }
      },
      open: async (run, opening) => toRerun(going, run, { ...opening, ...(await listed(run)) }),
    },
    options,
  )
}

function toChoice(
  { topics, from, to, partitions, user }: RestoreChoice,
  { topology }: Broker,
): ArchiveChoice {
  const named = (topics ?? [topology.recentlyPlayed.name, topology.metadata.name]).map(
    (name) => resolveTopic(name, topology).name,
  )
  const byOffset = sayOffsets(from, to) || partitions
  if (byOffset && named.length > 1) throw usage('Partitions and offsets are those of one --topic')
  // Only pages belong to a user; metadata do not.
  const own = user === null ? named : named.filter((t) => t === topology.recentlyPlayed.name)
  if (own.length === 0) throw usage('--user goes with spotify.recently-played alone')
  return { topics: own, from, to, partitions, user }
}

function usage(what: string): OperatorFault {
  return new OperatorFault(what, 'songswap restore --help shows what is possible.', { code: 'usage' })
}

interface Listed {
  choice: ArchiveChoice
  /** Objects that may hold chosen records, and those of them that the run has not read yet. */
  chosen: readonly ArchiveObject[]
  objects: readonly ArchiveObject[]
}

async function toJudged(
  { operator, broker, archive, asked }: Going,
  { plan, tally }: Run,
  { choice, objects }: Listed,
): Promise<Judged> {
  const { user } = choice
  const pages = plan.stretches.filter((s) => s.topic === broker.topology.recentlyPlayed.name)
  return {
    stretches: pages.map((s) => ({ ...s, incarnation: s.incarnation ?? 0 })),
    ...{ user, rate: asked.rate, allowedPercent: asked.allowedPercent, removedBefore: tally.removed },
    source: archiveSource({ archive, broker, objects, tally: emptyTally() }),
    wanted: await pagesOf(await operator.postgres(), { user, within: choice }),
    async *otherPages(since) {
      yield* pagesInArchive({ archive, broker }, since)
      yield* pagesInTopic(broker)
    },
  }
}

async function toRerun(
  { operator, broker, archive, asked, signal }: Going,
  { tally, plan }: Run,
  { choice, chosen, objects, ...opening }: Listed & Opening,
): Promise<Omit<Rerun, 'run' | 'name'>> {
  const { toTopic, deadLetters, rate } = asked
  const sql = await operator.postgres()
  addMissing(tally, await missingAtEnd(broker, choice, chosen))
  const framing = toTopic || deadLetters ? rowFraming(broker, choice.topics) : undefined
  return {
    topics: choice.topics,
    total: objects.reduce((sum, o) => sum + o.lastOffset + 1 - o.firstOffset, 0),
    source: archiveSource({ archive, broker, objects, tally, toBytes: framing }),
    pace: openPace(rate, { portion: loaderPortion, signal }),
    prepare: async () => {
      if (!toTopic) await restoreErasedMarks(archive, sql)
    },
    async openWanted(topic) {
      const isPages = topic === broker.topology.recentlyPlayed.name
      const wanted = isPages ? await pagesOf(sql, { user: choice.user, within: choice }) : inRange(choice)
      return toTopic ? (record) => wanted(record) && !isCopy(record) : wanted
    },
    openSinks: await restoreSinks({ operator, broker, tally, toTopic, deadLetters, ...opening }),
    async finish() {
      if (toTopic) return
      await noteLogs(sql, plan.stretches)
      await continueUserIds(sql)
    },
  }
}
