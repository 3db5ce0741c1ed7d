import type { Command } from 'commander'
import { exitCodes } from '../lib/lifecycle.ts'
import { OperatorFault } from '../operations/fault.ts'
import { toResume } from '../operations/rerun/journal.ts'
import { replay } from '../operations/rerun/replay.ts'
import type { Replayed } from '../operations/rerun/replayed.ts'
import { readErasedOf, resolveReplayed } from '../operations/rerun/replayed.ts'
import type { CliContext, Run } from './command.ts'
import { act, examples, notes } from './command.ts'
import { showDone } from './rerun/done-screen.ts'
import type { RerunOptions } from './rerun/options.ts'
import { defineLimits, defineRange, toChoice } from './rerun/options.ts'
import { showPlan } from './rerun/replay-screen.ts'
import { watched } from './rerun/watch.ts'
import { parseWhole } from './terminal/numbers.ts'

interface ReplayOptions extends RerunOptions {
  deadLetters: boolean
}

export function define(command: Command, run: Run): void {
  command.description(
    "Runs a group's handler again over a range of its topic, beside the live group: it goes on and keeps its offsets. For loader.history, loader.metadata and archiver. Rows that a wrong parser wrote are brought to what the parser makes of them now. Shows what it would do; does it with --execute.",
  )
  defineLimits(defineRange(command).option('--user <id>', 'only the pages of one user', parseWhole))
    .option('--no-dead-letters', 'count dead letters, publish none')
    .option('--resume [run]', 'go on with the latest run that was cut short, or with this one', parseWhole)
    .option('--execute', 'do it')
  act<ReplayOptions>(command, run, work)
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
    'Plays that no page claims any more are removed: their own page, by what the parser makes of it now, and no other page of the user that the topic holds. Pages are read for this first. Without --execute these plays are shown; Ctrl-C ends the reading. With it, a replay that would remove more than --allow-removal stops before it changes anything.',
    'Records that cannot be dealt with become dead letters, unless they lie there already; too many new ones stop the replay. Wanted metadata are asked for by the loader, within five minutes.',
    'The archiver puts what no object holds, up to its own committed offsets; existing objects stay.',
    'Exits with 1 when it was interrupted or gave up.',
  ])
}

async function work(context: CliContext, options: ReplayOptions, group = ''): Promise<number> {
  const { operator, out } = context
  const { from, to, partition, user, resume, deadLetters, execute = false } = options
  const chosen = [from, to, partition, user].some((o) => o !== undefined)
  if (resume !== undefined && chosen) {
    throw new OperatorFault(
      '--resume goes on with the range of its run',
      'Leave --from, --to, --partition and --user out.',
      { code: 'usage' },
    )
  }
  const choice = { ...toChoice(options), group, deadLetters }
  const report = await replay(operator, choice, watched(context, { execute, unit: 'records' }))
  if (out.json) out.printJson(report)
  if ('executed' in report) {
    if (!out.json) showPlan(out, report)
    return exitCodes.stopped
  }
  const replayed = await resolveReplayed(await operator.broker(), group)
  const kind = replayed.kind === 'archive' ? 'archive' : 'rows'
  const next = toResume({ command: 'replay', subject: replayed.group }, report.run)
  if (!out.json) showDone(out, report, { kind, deadLetters, resume: next })
  if (report.recordsPut > 0) await nameErased(context, replayed)
  return report.finished ? exitCodes.stopped : exitCodes.fault
}

async function nameErased({ operator, out }: CliContext, replayed: Replayed): Promise<void> {
  const users = await readErasedOf(await operator.postgres(), replayed)
  if (users.length === 0) return
  out.say('\nThe new objects may hold pages of users who were erased. Erase them there too:')
  for (const user of users) out.say(`  songswap account erase ${user} --execute`)
}
