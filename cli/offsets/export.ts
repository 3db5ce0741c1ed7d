import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { resolveGroup } from '../../operations/groups.ts'
import { toCsv } from '../../operations/offsets/words.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples } from '../command.ts'

export function define(command: Command, run: Run): void {
  command.description(
    "Prints a group's committed offsets as CSV: topic,partition,offset, as kafka-consumer-groups exports and reads them. The group may be at work.",
  )
  act(command, run, exportOffsets)
  examples(command, ['songswap offsets export loader.history > before.csv'])
}

async function exportOffsets(context: CliContext, _options: object, name = ''): Promise<number> {
  const { admin, client, topology } = await context.operator.broker()
  const { group } = await resolveGroup(admin, topology, { name, prefix: client.config.prefix })
  const offsets = await admin.readCommitted(group)
  if (context.out.json) context.out.printJson({ group, offsets })
  else context.terminal.stdout.write(toCsv(offsets))
  if (offsets.length === 0) context.out.say(`${group} has not committed anything.`)
  return exitCodes.stopped
}
