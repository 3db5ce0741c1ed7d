import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toCsv } from '../../operations/offsets/csv.ts'
import { exportOffsets } from '../../operations/offsets/read.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples } from '../command.ts'

export function define(command: Command, run: Run): void {
  command.description(
    "Prints a group's committed offsets as CSV: topic,partition,offset, as kafka-consumer-groups exports and reads them. The group may be at work.",
  )
  act(command, run, writeOffsets)
  examples(command, ['songswap offsets export loader.history > before.csv'])
}

async function writeOffsets(context: CliContext, _options: object, name = ''): Promise<number> {
  const report = await exportOffsets(context.operator, name)
  if (context.out.json) context.out.printJson(report)
  else context.terminal.stdout.write(toCsv(report.offsets))
  if (report.offsets.length === 0) context.out.say(`${report.group} has not committed anything.`)
  return exitCodes.stopped
}
