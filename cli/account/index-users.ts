import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toPlural } from '../../lib/words.ts'
import { indexUsers } from '../../operations/account/index-users.ts'
import type { IndexReport } from '../../operations/account/report.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import type { Output } from '../terminal/output.ts'
import { toPrintable } from '../terminal/table.ts'

interface Options {
  execute?: boolean
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'Makes the index that says which object of the archive holds which users: opens the objects that it does not name, and drops entries of objects that are no more. Shows what it would do; does it with --execute.',
    )
    .option('--execute', 'do it')
  act<Options>(command, run, work)
  examples(command, ['songswap account index', 'songswap account index --execute'])
  notes(command, [
    'The archiver writes an entry after each object, and erase believes what an entry says; an object without one is opened. So a missing index costs time and nothing else: run this once for an archive from before there was one, or after it was copied to another bucket.',
  ])
}

async function work(context: CliContext, { execute = false }: Options): Promise<number> {
  const { out } = context
  const report = await indexUsers(context.operator, {
    execute,
    signal: context.interruption(),
    onProgress: context.onProgress('objects'),
  })
  if (out.json) out.printJson(report)
  else print(out, report)
  return report.aborted || report.damaged.length > 0 ? exitCodes.fault : exitCodes.stopped
}

function print(out: Output, { executed, objects, unnamed, orphans, written, damaged }: IndexReport): void {
  out.print(
    `${toPlural(objects, 'object')}: ${unnamed} without an entry; ${orphans} left over without an object.`,
  )
  for (const path of damaged) out.say(`Not readable: ${toPrintable(path)}`)
  if (executed) out.say(`Entries written: ${written}.`)
  else if (unnamed + orphans > 0) out.say('Nothing was changed. Do it with: --execute')
}
