import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { openBroker } from '../broker.ts'
import type { CliContext } from '../command.ts'
import { act, examples } from '../command.ts'
import { resolveGroup } from '../groups.ts'
import { toCsv } from './words.ts'

export function define(command: Command): void {
  command.description(
    "Prints a group's committed offsets as CSV: topic,partition,offset, as kafka-consumer-groups exports and reads them. The group may be at work.",
  )
  act(command, exportOffsets)
  examples(command, ['songswap offsets export loader.history > before.csv'])
}

async function exportOffsets(context: CliContext, _options: object, name = ''): Promise<number> {
  const { admin, client, topology } = await openBroker(context)
  const { group } = await resolveGroup(admin, topology, { name, prefix: client.config.prefix })
  const offsets = await admin.readCommitted(group)
  if (context.out.json) context.out.printJson({ group, offsets })
  else process.stdout.write(toCsv(offsets))
  if (offsets.length === 0) context.out.say(`${group} has not committed anything.`)
  return exitCodes.stopped
}
