import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { openSpotifyClient } from '../../lib/spotify/client.ts'
import type { Outcome } from '../../lib/spotify/outcome.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import { refreshTokens } from '../../lib/spotify/tokens.ts'
import type { CliContext } from '../command.ts'
import { act, examples } from '../command.ts'
import { openDatabase } from '../database.ts'
import { CliFault } from '../fault.ts'
import { toPrintable } from '../table.ts'
import { describeEnrolled, enrol, enrolConfig } from './enrol.ts'
import { readSecret } from './secret-input.ts'

export function define(command: Command): void {
  command.description(
    'Adds a user by a refresh token that was got elsewhere, read from standard input (not echoed on a terminal). Asks Spotify who it is. Prints the user id on standard output. A user who is known already gets the new token and is polled again at once.',
  )
  act(command, add)
  examples(command, ['songswap users add', 'songswap users add < refresh-token.txt'])
}

async function add(context: CliContext): Promise<number> {
  const { env, scope, out } = context
  const config = enrolConfig(env)
  const refreshToken = await readSecret('Refresh token: ')
  if (refreshToken === '' || /\s/.test(refreshToken)) {
    throw new CliFault(
      refreshToken === ''
        ? 'Standard input holds no refresh token'
        : 'Standard input holds more than a refresh token',
      'songswap users add < refresh-token.txt   (the token alone)',
      { exitCode: exitCodes.usage },
    )
  }
  // A refresh may replace the token: nothing is asked before the new one can be kept.
  const postgres = await openDatabase(context)
  await postgres.query('select from users, spotify_tokens, poll_state limit 0')
  const client = await scope.use(openSpotifyClient(config.spotify, { connections: 1 }), 'spotify')
  const answer = await refreshTokens(client, refreshToken)
  if (answer.type === 'refused') throw refusal(answer.outcome)
  const enrolled = await enrol({ config, client, postgres, tokens: answer.tokens, refreshToken })
  if (out.json) out.printJson(enrolled)
  else {
    out.say(toPrintable(describeEnrolled(enrolled)))
    out.print(String(enrolled.id))
  }
  return exitCodes.stopped
}

function refusal(outcome: Outcome): CliFault {
  const what = `Spotify gives nothing for this refresh token (${describeOutcome(outcome)})`
  if (outcome.type === 'invalid_grant') {
    return new CliFault(
      what,
      'It is dead, or was given to another client id. Get a new one: songswap users connect',
    )
  }
  if (outcome.type === 'invalid_client') {
    return new CliFault(what, 'SPOTIFY_CLIENT_ID or SPOTIFY_CLIENT_SECRET is wrong.')
  }
  return new CliFault(what, 'Nothing was stored. Try again later.')
}
