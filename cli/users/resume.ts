import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { setStatus } from '../../operations/users/set-status.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples } from '../command.ts'
import { printChange } from './change.ts'

export function define(command: Command, run: Run): void {
  command.description(
    'Polls a user again, by id or Spotify id, whatever the user was parked for. A dead token is not mended by it: then `users connect` is needed.',
  )
  act(command, run, resume)
  examples(command, ['songswap users resume 7', 'songswap users resume some-spotify-id'])
}

const hints = {
  active: 'was not parked.',
  paused: 'is polled again.',
  forbidden: 'is polled again; if Spotify still refuses, the app has to list the user.',
  needs_reauth: 'is polled again; if the token is dead: songswap users connect',
} as const

async function resume({ operator, out }: CliContext, _options: object, user = ''): Promise<number> {
  const change = await setStatus(operator, user, { status: 'active', reason: null })
  printChange(out, change, hints[change.before])
  return exitCodes.stopped
}
