import type { Command } from 'commander'
import { exitCodes } from '../lib/lifecycle.ts'
import type { Topic } from '../lib/topology.ts'
import { OperatorFault } from '../operations/fault.ts'
import { resolveGroup } from '../operations/groups.ts'
import type { Broker } from '../operations/operator.ts'
import { planReplay } from '../operations/replay/plan.ts'
import type { ReplayRun } from '../operations/replay/run.ts'
import { runReplay } from '../operations/replay/run.ts'
import { countUnclaimed } from '../operations/replay/unclaimed.ts'
import { sayOffsets } from '../operations/rerun/bounds.ts'
import { beginRun, openRuns, resumeRun } from '../operations/rerun/journal.ts'
import { parseRate } from '../operations/rerun/pace.ts'
import { emptyTally } from '../operations/rerun/tally.ts'
import type { CliContext, Run } from './command.ts'
import { act, examples, notes } from './command.ts'
import { showPlan } from './replay/screen.ts'
import type { RerunOptions } from './rerun/options.ts'
import { defineRange, toRunId } from './rerun/options.ts'
import { parseWhole } from './terminal/numbers.ts'

export interface ReplayOptions extends RerunOptions {
  deadLetters: boolean
}

/** The group whose handler is to run again. */
export interface Replayed {
  group: string
  topics: Topic[]
  /** The loader's handlers settle at once and may pass records over; the archiver's do neither. */
  isArchiver: boolean
}

export function define(command: Command, run: Run): void {
  command.description(
    "Runs a group's handler again over a range of its topic, beside the live group: it goes on and keeps its offsets. For loader.history, loader.metadata and archiver. Rows that a wrong parser wrote are brought to what the parser makes of them now. Shows what it would do; does it with --execute.",
  )
  defineRange(command)
    .option('--user <id>', 'only the pages of one user', parseWhole)
    .option('--rate <n>', 'at most so many records a second', parseRate)
    .option('--no-dead-letters', 'count dead letters, publish none')
    .option('--resume [run]', 'go on with the latest run that was cut short, or with this one', parseWhole)
    .option('--execute', 'do it')
  act<ReplayOptions>(command, run, replay)
  examples(command, [
    'songswap replay loader.history --from 7d',
    'songswap replay loader.history --from 7d --rate 200 --execute',
    'songswap replay loader.history --from 3:1200,4:80 --to 3:1300,4:90',
    'songswap replay loader.history --user 7 --execute',
    'songswap replay archiver --execute',
    'songswap replay loader.history --resume --execute',
  ])
  notes(command, [
    'The range ends where the topic ends when the replay starts. Ctrl-C stops it cleanly, and --resume goes on. What was stored before stays or is repaired, so a replay may be run any number of times.',
    'Plays that their own page does not claim any more are removed. Without --execute the pages are read and these plays are shown; Ctrl-C ends the reading.',
    'Records that cannot be dealt with become dead letters, unless they lie there already; too many new ones stop the replay. Wanted metadata are asked for by the loader, within five minutes.',
    'The archiver puts what no object holds, up to its own committed offsets; existing objects stay.',
    'Exits with 1 when it was interrupted or gave up.',
  ])
}

async function replay(context: CliContext, options: ReplayOptions, name = ''): Promise<number> {
  const [sql, broker] = await Promise.all([context.operator.postgres(), context.operator.broker()])
  const replayed = await resolveReplayed(broker, name)
  checkOptions(replayed, options)
  const runName = { command: 'replay', subject: replayed.group } as const
  if (options.resume !== undefined) {
    const of = { id: toRunId(options.resume), execute: options.execute ?? false }
    const run = await resumeRun(sql, runName, of)
    return go(context, { broker, sql, replayed, run, options })
  }
  const plan = await planReplay(broker, replayed, options)
  const fresh = { plan, tally: emptyTally() }
  if (!options.execute) return go(context, { broker, sql, replayed, run: { id: 0, ...fresh }, options })
  return go(context, { broker, sql, replayed, run: await beginRun(sql, runName, fresh), options })
}

async function go(context: CliContext, going: ReplayRun): Promise<number> {
  if (going.options.execute) return runReplay(context, going)
  const { sql, replayed, options } = going
  const unfinished =
    options.resume === undefined ? await openRuns(sql, { command: 'replay', subject: replayed.group }) : []
  const { topology } = going.broker
  const isHistory = replayed.group === topology.groups.loaderHistory
  const unclaimed = isHistory ? await countUnclaimed(context, going) : null
  await showPlan(context, { ...going, unfinished, unclaimed })
  return exitCodes.stopped
}

async function resolveReplayed(broker: Broker, name: string): Promise<Replayed> {
  const { topology } = broker
  const { groups, recentlyPlayed, metadata } = topology
  const { group } = await resolveGroup(broker, name)
  if (group === groups.loaderHistory) return { group, topics: [recentlyPlayed], isArchiver: false }
  if (group === groups.loaderMetadata) return { group, topics: [metadata], isArchiver: false }
  if (group === groups.archiver) return { group, topics: [recentlyPlayed, metadata], isArchiver: true }
  const why =
    {
      [groups.enricher]:
        'It would ask Spotify for the same things again. What is missing is asked for by the loader by itself.',
      [groups.alerter]: 'It would tell old alerts again. To read them: songswap events',
    }[group] ?? 'It is no group of the stream.'
  throw new OperatorFault(`${group} cannot be replayed`, why, { code: 'usage' })
}

function checkOptions({ group, isArchiver, topics }: Replayed, options: ReplayOptions): void {
  const fault = (what: string, hint: string) => new OperatorFault(what, hint, { code: 'usage' })
  const { user, from, to, partition, resume } = options
  if (user !== undefined && (isArchiver || !topics[0]?.name.endsWith('recently-played'))) {
    throw fault(`--user does not go with ${group}`, 'Only loader.history deals with pages of users.')
  }
  const chosen = [from, to, partition, user].some((o) => o !== undefined)
  if (resume !== undefined && chosen)
    throw fault(
      '--resume goes on with the range of its run',
      'Leave --from, --to, --partition and --user out.',
    )
  if (isArchiver && sayOffsets(from, to)) {
    throw fault('The archiver reads two topics, so offsets say too little', 'Give times.')
  }
}
