import type { Command } from 'commander'
import { InvalidArgumentError, Option } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { OperatorFault } from '../../operations/fault.ts'
import { enrolByToken } from '../../operations/users/enrol.ts'
import { openEnrolment } from '../../operations/users/enrolment.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples } from '../command.ts'
import { readSecret } from '../terminal/secret-input.ts'
import { printEnrolled, sayWaiting } from './enrolled.ts'

export function define(command: Command, run: Run): void {
  command
    .description(
      'Adds a user by a refresh token that was got elsewhere, read from standard input (not echoed on a terminal). Asks Spotify who it is. Prints the user id on standard output. A user who is known already gets the new token and is polled again at once. Refresh tokens live for six months from the consent: say when that was; a consent of unknown age is warned of as an old one.',
    )
    .addOption(
      new Option('--authorized-at <date>', 'when the user agreed, e.g. 2026-09-01').argParser(toPast),
    )
  act<Options>(command, run, add)
  examples(command, [
    'songswap users add --authorized-at 2026-09-01',
    'songswap users add < refresh-token.txt',
  ])
}

interface Options {
  authorizedAt?: Date
}

function toPast(text: string): Date {
  const at = new Date(text)
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || !(at.getTime() <= Date.now())) {
    throw new InvalidArgumentError('It must be a date in the past, as 2026-09-01 or 2026-09-01T12:00:00Z.')
  }
  return at
}

async function add({ operator, terminal, out }: CliContext, options: Options): Promise<number> {
  // Comes before the prompt, so that a person does not type a token that cannot be stored.
  const enrolment = await openEnrolment(operator)
  const refreshToken = await readSecret(terminal, 'Refresh token: ')
  if (refreshToken === '' || /\s/.test(refreshToken)) {
    const what = refreshToken === '' ? 'no refresh token' : 'more than a refresh token'
    throw new OperatorFault(
      `Standard input holds ${what}`,
      'songswap users add < refresh-token.txt   (the token alone)',
      { code: 'usage' },
    )
  }
  const given = { refreshToken, authorizedAt: options.authorizedAt ?? null }
  printEnrolled(out, await enrolByToken(enrolment, given, { onWaiting: sayWaiting(out) }))
  return exitCodes.stopped
}
