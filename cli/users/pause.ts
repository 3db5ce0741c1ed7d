import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { setStatus } from '../../operations/users/set-status.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples } from '../command.ts'

export function define(command: Command, run: Run): void {
  command
    .description(
      'Stops polling a user, by id or Spotify id, until `users resume`. Spotify shows only the last 50 plays: what is played meanwhile may be lost.',
    )
    .option('--reason <text>', 'shown in users list and status', 'paused by an operator')
  act<{ reason: string }>(command, run, pause)
  examples(command, ['songswap users pause 7', 'songswap users pause 7 --reason "moving house"'])
}

async function pause(context: CliContext, options: { reason: string }, user = ''): Promise<number> {
  const { before, name } = await setStatus(context, user, { status: 'paused', reason: options.reason })
  if (!context.out.json) {
    context.out.say(before === 'paused' ? `${name} was paused already.` : `${name} is paused.`)
  }
  return exitCodes.stopped
}
