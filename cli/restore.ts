import type { Command } from 'commander'
import { Option } from 'commander'
import { exitCodes } from '../lib/lifecycle.ts'
import { OperatorFault } from '../operations/fault.ts'
import { sayOffsets } from '../operations/rerun/bounds.ts'
import { beginRun, openRuns, resumeRun } from '../operations/rerun/journal.ts'
import { parseRate } from '../operations/rerun/pace.ts'
import { addMissing } from '../operations/rerun/tally.ts'
import { restoreFile } from '../operations/restore/file.ts'
import { missingAtEnd } from '../operations/restore/missing.ts'
import type { RestoreChoice } from '../operations/restore/plan.ts'
import { planRestore, resolveTopic } from '../operations/restore/plan.ts'
import { runRestore } from '../operations/restore/run.ts'
import type { CliContext, Run } from './command.ts'
import { act, examples, notes } from './command.ts'
import type { RerunOptions } from './rerun/options.ts'
import { defineRange, toRunId } from './rerun/options.ts'
import { showRestore } from './restore/screen.ts'
import { parseWhole } from './terminal/numbers.ts'

export interface RestoreOptions extends RerunOptions {
  topic?: string[]
  deadLetters?: true
  toTopic?: true
  fromFile?: string
  as?: number
}

const rangeOptions = ['topic', 'from', 'to', 'partition'] as const

export function define(command: Command, run: Run): void {
  command
    .description(
      'Loads records from the archive in S3, which never forgets, by the handlers of the loader: a lost database is built again from nothing. With --to-topic it puts the records back into Kafka instead. Shows what it would do; does it with --execute.',
    )
    .option('--topic <topic>', 'only this one; default: pages, then metadata', collect)
  defineRange(command)
    .option('--user <id>', 'only the plays of one user', parseWhole)
    .option('--rate <n>', 'at most so many records a second', parseRate)
    .option('--dead-letters', 'publish dead letters too; default: only count them')
    .addOption(new Option('--to-topic', 'put the records back into their topic').conflicts('deadLetters'))
    .addOption(
      new Option('--from-file <file>', 'plays from songswap account export; - is standard input').conflicts([
        ...rangeOptions,
        'toTopic',
        'resume',
      ]),
    )
    .option('--as <id>', 'with --from-file: as the plays of this user', parseWhole)
    .addOption(
      new Option('--resume [run]', 'go on with the latest run that was cut short, or with this one')
        .argParser(parseWhole)
        .conflicts([...rangeOptions, 'user']),
    )
    .option('--execute', 'do it')
  act<RestoreOptions>(command, run, restore)
  examples(command, [
    'songswap restore',
    'songswap restore --execute',
    'songswap restore --from 90d --user 7 --execute',
    'songswap restore --topic spotify.metadata --to-topic --execute',
    'songswap restore --from-file plays.ndjson --execute',
    'songswap restore --resume --execute',
  ])
  notes(command, [
    'Objects are read by first offset, several partitions at once. A damaged object is named and left out, as are offsets that no listed object holds, and the exit code is then 1. What is stored already stays or is repaired, so a restore may be run any number of times, also beside the live loader.',
    'Times are those of the records; objects are chosen by the dates in their names, with a day to spare on both sides.',
    'Records that --to-topic puts back keep key, partition, time and headers, and get restore.topic, .partition, .offset and .timestamp. The topic forgets them by their own time: older than its retention they are gone within minutes. Copies that an earlier restore put there are left out. The loader takes a copy for the record that it was; what could not be dealt with becomes a dead letter again.',
  ])
}

function collect(text: string, before: string[] = []): string[] {
  return [...before, text]
}

async function restore(context: CliContext, options: RestoreOptions): Promise<number> {
  if (options.as !== undefined && options.fromFile === undefined) throw usage('--as goes with --from-file')
  if (options.fromFile !== undefined) return restoreFile(context, options.fromFile, options)
  if (options.toTopic && !options.topic && options.resume === undefined)
    throw usage('--to-topic needs --topic')
  const [sql, broker] = await Promise.all([context.operator.postgres(), context.operator.broker()])
  const archive = await context.operator.archive()
  const name = { command: options.toTopic ? 'restore --to-topic' : 'restore', subject: 'archive' } as const
  const { resume, execute = false } = options
  const resumed = resume === undefined ? null : await resumeRun(sql, name, { id: toRunId(resume), execute })
  const choice = (resumed?.plan.choice as RestoreChoice | undefined) ?? toChoice(options, broker.topology)
  const planned = await planRestore(archive, choice, resumed?.plan.stretches ?? null)
  const missing = await missingAtEnd(broker, choice, planned.chosen)
  const parts = { broker, sql, archive, choice, objects: planned.objects, options }
  if (execute) {
    const run = resumed ?? (await beginRun(sql, name, planned.fresh))
    addMissing(run.tally, missing)
    return runRestore(context, { ...parts, run })
  }
  await showRestore(context, { ...parts, missing, unfinished: resumed ? [] : await openRuns(sql, name) })
  return missing.length > 0 ? exitCodes.fault : exitCodes.stopped
}

function toChoice(options: RestoreOptions, topology: Parameters<typeof resolveTopic>[1]): RestoreChoice {
  const { from = null, to = null, partition: partitions = null, user = null } = options
  const topics = (options.topic ?? [topology.recentlyPlayed.name, topology.metadata.name]).map(
    (name) => resolveTopic(name, topology).name,
  )
  const byOffset = sayOffsets(from, to) || partitions
  if (byOffset && topics.length > 1) throw usage('Partitions and offsets are those of one --topic')
  // A user has pages alone: metadata belong to nobody.
  const own = user === null ? topics : topics.filter((t) => t === topology.recentlyPlayed.name)
  if (own.length === 0) throw usage('--user goes with spotify.recently-played alone')
  return { topics: own, from, to, partitions, user }
}

function usage(what: string): OperatorFault {
  return new OperatorFault(what, 'songswap restore --help shows what is possible.', { code: 'usage' })
}
