import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toUtc } from '../../lib/words.ts'
import { bury } from '../../operations/dead-letters/bury.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { toPrintable } from '../terminal/table.ts'

interface Options {
  execute?: true
  note?: string
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'Gives up a record that holds up its partition: the group makes it a dead letter at its next try, and goes on. For what record_held_up names. Shows what it would do; does it with --execute.',
    )
    .option('--note <text>', 'why; kept with the order')
    .option('--execute', 'do it')
  act<Options>(command, run, work)
  examples(command, ['songswap dead-letters bury spotify.recently-played/3/1234 --execute'])
  notes(command, [
    'PLACE is TOPIC/PARTITION/OFFSET. The order is kept until the group tries the record; a group that has got past it in the meantime ignores it. The archiver buries nothing.',
    'The dead letter can be redriven when its cause is mended.',
  ])
}

async function work({ operator, out }: CliContext, options: Options, place = ''): Promise<number> {
  const { execute = false, note = null } = options
  const { report, record } = await bury(operator, place, { execute, note })
  if (out.json) {
    out.printJson(report)
    return exitCodes.stopped
  }
  const { group, topic, partition, offset, committed, timestamp } = report
  const key = toPrintable(record.key?.toString('utf8') ?? 'none')
  out.print(`${topic} ${partition}/${offset} of ${toUtc(timestamp)}, key ${key}`)
  out.say(`${group} stands at ${partition}/${committed}.`)
  out.say(
    execute ? `${group} gives it up at its next try.` : 'Nothing was changed. Give it up with: --execute',
  )
  return exitCodes.stopped
}
