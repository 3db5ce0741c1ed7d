import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { refreshTokens } from '../../lib/spotify/tokens.ts'
import type { CliContext } from '../command.ts'
import { act, examples } from '../command.ts'
import { CliFault } from '../fault.ts'
import { enrol, openEnrolment, tellEnrolled } from './enrol.ts'
import { toRefusal } from './refusal.ts'
import { readSecret } from './secret-input.ts'

export function define(command: Command): void {
  command.description(
    'Adds a user by a refresh token that was got elsewhere, read from standard input (not echoed on a terminal). Asks Spotify who it is. Prints the user id on standard output. A user who is known already gets the new token and is polled again at once.',
  )
  act(command, add)
  examples(command, ['songswap users add', 'songswap users add < refresh-token.txt'])
}

async function add(context: CliContext): Promise<number> {
  // Before the token is asked for: whoever types one in should not do so in vain.
  const enrolment = await openEnrolment(context)
  const refreshToken = await readSecret('Refresh token: ')
  if (refreshToken === '' || /\s/.test(refreshToken)) {
    const what = refreshToken === '' ? 'no refresh token' : 'more than a refresh token'
    throw new CliFault(
      `Standard input holds ${what}`,
      'songswap users add < refresh-token.txt   (the token alone)',
      { exitCode: exitCodes.usage },
    )
  }
  const answer = await refreshTokens(enrolment.client, refreshToken)
  if (answer.type === 'refused') throw toRefusal('refresh token', answer.outcome)
  tellEnrolled(context.out, await enrol(enrolment, answer.tokens, refreshToken))
  return exitCodes.stopped
}
