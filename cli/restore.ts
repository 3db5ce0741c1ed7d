import { createReadStream } from 'node:fs'
import type { Command } from 'commander'
import { Option } from 'commander'
import { exitCodes } from '../lib/lifecycle.ts'
import { toPlural } from '../lib/words.ts'
import { OperatorFault } from '../operations/fault.ts'
import { resolveTopic } from '../operations/rerun/archive-plan.ts'
import { toResume } from '../operations/rerun/journal.ts'
import { readOrphans, readReturned } from '../operations/rerun/lost-users.ts'
import { restore } from '../operations/rerun/restore.ts'
import { restoreFile } from '../operations/rerun/restore-file.ts'
import type { RerunReport } from '../operations/rerun/run.ts'
import type { CliContext, Run } from './command.ts'
import { act, examples, notes } from './command.ts'
import { showDone } from './rerun/done-screen.ts'
import { toOrphanLines, toReturnedLines } from './rerun/lost-user-lines.ts'
import type { RerunOptions } from './rerun/options.ts'
import { defineLimits, defineRange, toChoice } from './rerun/options.ts'
import { showRestore } from './rerun/restore-screen.ts'
import { watched } from './rerun/watch.ts'
import { parseWhole } from './terminal/numbers.ts'

interface RestoreOptions extends RerunOptions {
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
  defineLimits(defineRange(command).option('--user <id>', 'only the plays of one user', parseWhole))
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
  act<RestoreOptions>(command, run, work)
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

async function work(context: CliContext, options: RestoreOptions): Promise<number> {
  const { fromFile, as, user = null, execute = false } = options
  if (as !== undefined && fromFile === undefined) {
    throw new OperatorFault('--as goes with --from-file', 'songswap restore --help shows what is possible.', {
      code: 'usage',
    })
  }
  if (fromFile !== undefined) return fromLines(context, fromFile, { user, as: as ?? null, execute })
  const { operator, out } = context
  const { topic = null, toTopic = false, deadLetters = false } = options
  const choice = { ...toChoice(options), topics: topic, toTopic, deadLetters }
  const report = await restore(operator, choice, watched(context, { execute, unit: 'records' }))
  const isWhole = report.missing.length === 0
  if ('executed' in report) {
    const { topology } = await operator.broker()
    const retentionOf = (name: string) => resolveTopic(name, topology).retentionDays
    if (out.json) out.printJson(report)
    else showRestore(out, report, toTopic ? retentionOf : null)
    return isWhole ? exitCodes.stopped : exitCodes.fault
  }
  const command = toTopic ? 'restore --to-topic' : 'restore'
  await showEnd(context, report, {
    ...{ kind: toTopic ? 'topic' : 'rows', deadLetters },
    resume: toResume({ command, subject: 'archive' }, report.run),
  })
  return report.finished && isWhole && report.damaged.length === 0 ? exitCodes.stopped : exitCodes.fault
}

const faultsShown = 10

async function fromLines(
  context: CliContext,
  path: string,
  { execute, ...of }: { user: number | null; as: number | null; execute: boolean },
): Promise<number> {
  const { out, operator, terminal } = context
  const open = () => (path === '-' ? terminal.stdin : createReadStream(path))
  const { report, faults, isWhole } = await restoreFile(
    operator,
    { ...of, open },
    watched(context, { execute, unit: 'plays' }),
  )
  for (const fault of faults.slice(0, faultsShown)) out.say(fault)
  if (faults.length > faultsShown) out.say(`… and ${toPlural(faults.length - faultsShown, 'line')} more.`)
  if ('executed' in report) {
    if (out.json) out.printJson(report)
    else out.print(`Nothing was changed. Load ${toPlural(report.plays, 'play')} with: --execute`)
  } else {
    const resume = 'the same command: what is stored stays'
    await showEnd(context, report, { kind: 'rows', deadLetters: false, resume })
  }
  return isWhole && faults.length === 0 ? exitCodes.stopped : exitCodes.fault
}

async function showEnd(
  { operator, out }: CliContext,
  report: RerunReport,
  of: Parameters<typeof showDone>[2],
): Promise<void> {
  if (out.json) return out.printJson(report)
  showDone(out, report, of)
  if (of.kind === 'topic') return
  const sql = await operator.postgres()
  for (const line of toOrphanLines(await readOrphans(sql))) out.say(line)
  for (const line of toReturnedLines(await readReturned(sql))) out.say(line)
}
