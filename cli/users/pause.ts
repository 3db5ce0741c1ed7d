import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { setStatus } from '../../operations/users/set-status.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples } from '../command.ts'
import { printChange } from './change.ts'

export function define(command: Command, run: Run): void {
  command
    .description(
      'Stops polling a user, by id or Spotify id, until `users resume`. Spotify shows only the last 50 plays: what is played meanwhile may be lost.',
    )
    .option('--reason <text>', 'shown in users list and status', 'paused by an operator')
  act<{ reason: string }>(command, run, pause)
  examples(command, ['songswap users pause 7', 'songswap users pause 7 --reason "moving house"'])
}

async function pause({ operator, out }: CliContext, options: { reason: string }, user = ''): Promise<number> {
  const change = await setStatus(operator, user, { status: 'paused', reason: options.reason })
  const words = change.before === 'paused' ? 'was paused already.' : 'is paused.'
  printChange(out, change, words)
  return exitCodes.stopped
}
