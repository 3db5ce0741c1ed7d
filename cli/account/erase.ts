import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { erase } from '../../operations/account/erase.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { toIncomplete, toReceiptLines } from './receipt-lines.ts'

interface Options {
  execute?: boolean
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'Erases a user: rows of every table, tokens, and their rows in the objects of the archive, which are written anew without them. Says what the topics still hold and until when. Shows what it would do; does it with --execute, and the output is the receipt.',
    )
    .option('--execute', 'do it; there is no way back')
  act<Options>(command, run, work)
  examples(command, [
    'songswap account export 7 > plays.ndjson',
    'songswap account erase 7',
    'songswap account erase 7 --execute > receipt.txt',
  ])
  notes(command, [
    "It reads the objects of the archive that hold the user by their index, and all objects that have no entry there (songswap account index makes them). From the first moment on the loader drops whatever the topics still hold of the user, also in a replay or a restore; the id is never given again. Tracks, albums and artists are nobody's and stay.",
    'Pages that the archiver has not put into objects yet are named: run the command again later, as often as you like, and it exits with 0 when nothing is left to do.',
    'A bucket that keeps versions keeps the old ones: its lifecycle rules have to remove them.',
  ])
}

async function work(context: CliContext, { execute = false }: Options, user = ''): Promise<number> {
  const { out } = context
  const receipt = await erase(context.operator, user, {
    execute,
    signal: context.interruption(),
    onBegin({ id }) {
      out.say(`Erasing user ${id}. If it is cut short: songswap account erase ${id} --execute`)
    },
    onObjects: context.onProgress('objects'),
    onRecords: context.onProgress('records'),
  })
  if (out.json) out.printJson(receipt)
  else out.print(toReceiptLines(receipt, out.width).join('\n'))
  const isLeft = receipt.executed && toIncomplete(receipt).length > 0
  return receipt.aborted || isLeft ? exitCodes.fault : exitCodes.stopped
}
