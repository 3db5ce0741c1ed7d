import { z } from 'zod'
import { Rebuild } from '../../services/loader/rebuild.ts'
import { OperatorFault } from '../fault.ts'
import type { Broker, Operator } from '../operator.ts'
import { archiveSinks } from './archive-sinks.ts'
import type { Choice } from './bounds.ts'
import { sayOffsets } from './bounds.ts'
import type { Opening } from './conduct.ts'
import { conduct } from './conduct.ts'
import { deadLetterPublisher } from './dead-letter-publisher.ts'
import type { Plan, Resume, Run } from './journal.ts'
import { openRun, recordsLeft, stretch } from './journal.ts'
import { finishRebuild, loaderPortion, loaderSinks, readSureTime } from './loader-sinks.ts'
import { openPace } from './pace.ts'
import type { Judged } from './removals.ts'
import { removals } from './removals.ts'
import type { Replayed } from './replayed.ts'
import { resolveReplayed } from './replayed.ts'
import type { Rerun, RerunOptions } from './run.ts'
import { rerunReport } from './run.ts'
import { readTimes } from './stretch-times.ts'
import { emptyTally } from './tally.ts'
import { planTopic, upToCommitted } from './topic-plan.ts'
import { pagesInTopic, topicSource } from './topic-source.ts'
import { pagesOf } from './wanted.ts'
import { isWhole } from './whole.ts'

export interface ReplayChoice extends Choice {
  /** By the name that the operator uses. */
  group: string
  user: number | null
  /** Records a second, or null for no limit. */
  rate: number | null
  /** If false, dead letters are counted but not published. */
  deadLetters: boolean
  resume: Resume
  /** Percentage of the plays of the range that may be removed, or null for the default. */
  allowedPercent: number | null
}

export const replayPlan = z.object({
  executed: z.literal(false),
  group: z.string(),
  records: z.int(),
  stretches: z.array(stretch.extend({ firstAt: z.date().nullable(), lastAt: z.date().nullable() })),
  unfinished: z.array(openRun).describe('runs that can be resumed'),
  unclaimed: removals.nullable().describe('null if the group stores no plays'),
  user: z.int().nullable().describe('the user whose pages count; null for all'),
})

export const replayReport = z.union([replayPlan, rerunReport])
export type ReplayPlan = z.infer<typeof replayPlan>
export type ReplayReport = z.infer<typeof replayReport>

/**
 * Runs a group's handler again over a range of its topic, beside the live group. It corrects rows that an earlier
 * parser wrote to what the present parser makes of the same records.
 *
 * @throws OperatorFault for an invalid choice, when it would remove too many plays, and for a flood of dead letters
 */
export async function replay(
  operator: Operator,
  choice: ReplayChoice,
  options: RerunOptions,
): Promise<ReplayReport> {
  const broker = await operator.broker()
  const replayed = await resolveReplayed(broker, choice.group)
  checkChoice(replayed, choice)
  const { group, kind } = replayed
  const going: Going = { operator, broker, replayed, choice, signal: options.signal }
  return conduct<ReplayPlan>(
    operator,
    {
      name: { command: 'replay', subject: group },
      resume: choice.resume,
      plan: () => planReplay(broker, replayed, choice),
      judge: async (run) => (kind === 'history' ? toJudged(going, run) : null),
      async show({ plan }, found) {
        const stretches = await readTimes(broker, plan.stretches)
        const records = recordsLeft(stretches)
        return { executed: false, group, records, stretches, ...found, user: userOf(plan) }
      },
      open: (run, opening) => toRerun(going, run, opening),
    },
    options,
  )
}

function checkChoice({ group, kind }: Replayed, { user, from, to }: ReplayChoice): void {
  const fault = (what: string, hint: string) => new OperatorFault(what, hint, { code: 'usage' })
  if (user !== null && kind !== 'history') {
    throw fault(`--user does not go with ${group}`, 'Only loader.history deals with pages of users.')
  }
  if (kind === 'archive' && sayOffsets(from, to)) {
    throw fault('The archiver reads two topics, so offsets say too little', 'Give times.')
  }
}

async function planReplay(
  broker: Broker,
  { topics, group, kind }: Replayed,
  choice: ReplayChoice,
): Promise<Plan> {
  const planned = []
  for (const topic of topics) planned.push(...(await planTopic(broker, topic, choice)))
  // Records after the live archiver's offset are left to it: a second object would get in its way.
  const stretches = kind === 'archive' ? await upToCommitted(broker, group, planned) : planned
  return { stretches, choice: { user: choice.user } }
}

function userOf({ choice }: Plan): number | null {
  return typeof choice.user === 'number' ? choice.user : null
}

interface Going {
  operator: Operator
  broker: Broker
  replayed: Replayed
  choice: ReplayChoice
  signal: AbortSignal
}

async function toJudged({ operator, broker, choice }: Going, { plan, tally }: Run): Promise<Judged> {
  const user = userOf(plan)
  return {
    ...{ stretches: plan.stretches, user, rate: choice.rate },
    source: topicSource(broker, emptyTally()),
    wanted: await pagesOf(await operator.postgres(), { user }),
    ...{ allowedPercent: choice.allowedPercent, removedBefore: tally.removed },
    otherPages: () => pagesInTopic(broker),
  }
}

async function toRerun(
  { operator, broker, replayed, choice, signal }: Going,
  run: Run,
  { scope, verdicts }: Opening,
): Promise<Omit<Rerun, 'run' | 'name'>> {
  const { group, topics, kind } = replayed
  const { log } = operator
  const { tally, plan } = run
  const sql = await operator.postgres()
  const rebuild = kind === 'history' && (await isWhole(broker, sql, run)) ? new Rebuild() : undefined
  const rerun = { sureTime: await readSureTime(sql), verdicts, rebuild }
  const sinks =
    kind === 'archive'
      ? await archiveSinks(await operator.archive(), { topics, tally, log })
      : { openSink: loaderSinks({ group, topology: broker.topology, sql, log, tally, rerun }) }
  const onDeadLetters = deadLetterPublisher({ broker, scope, group, tally, publish: choice.deadLetters })
  return {
    topics: topics.map(({ name }) => name),
    total: recordsLeft(plan.stretches),
    source: topicSource(broker, tally),
    pace: openPace(choice.rate, { portion: loaderPortion, signal }),
    // The archiver needs every record: its objects have no holes.
    openWanted: async () => (kind === 'archive' ? () => true : pagesOf(sql, { user: userOf(plan) })),
    openSinks: async () => ({ ...sinks, onDeadLetters }),
    async finish() {
      if (rebuild && !signal.aborted) await finishRebuild(sql, rebuild, tally)
    },
  }
}
