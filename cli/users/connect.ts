import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { InvalidArgumentError, Option } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Scope } from '../../lib/scope.ts'
import { openSpotifyClient } from '../../lib/spotify/client.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import type { Tokens } from '../../lib/spotify/tokens.ts'
import { exchangeCode } from '../../lib/spotify/tokens.ts'
import type { CliContext } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { openDatabase } from '../database.ts'
import { CliFault, explain } from '../fault.ts'
import { toPrintable } from '../table.ts'
import { toPlural } from '../words.ts'
import type { BrowserPage } from './callback-server.ts'
import { openCallbackServer } from './callback-server.ts'
import { toConsentAddress } from './consent.ts'
import { openConsentDesk } from './consent-desk.ts'
import { describeEnrolled, enrol, enrolConfig, neededScope } from './enrol.ts'

interface Options {
  port: number
  timeout: number
}

export function define(command: Command): void {
  command
    .description(
      "Connects a user: prints the address of Spotify's consent page, waits for the browser on a loopback address, stores the tokens and prints the user id. On a machine without a browser, open the address elsewhere and paste the address that the browser ends at (http://127.0.0.1:PORT/callback?code=…, a page that does not load) on standard input. Connecting a known user again replaces the dead token and polls at once.",
    )
    .addOption(
      new Option('--port <number>', 'port of the redirect address; 0: any free one')
        .env('SPOTIFY_REDIRECT_PORT')
        .default(defaultPort)
        .argParser((text) => (text === '' ? defaultPort : toWhole(text, 65_535))),
    )
    .addOption(
      new Option('--timeout <seconds>', 'how long to wait for the consent')
        .default(300)
        .argParser((text) => toWhole(text, 86_400)),
    )
  act<Options>(command, connect)
  examples(command, ['songswap users connect', 'songswap users connect --port 9000'])
  notes(command, [
    `Spotify's dashboard must list http://127.0.0.1:${defaultPort}/callback as a redirect address of the app.`,
    'With --json: a line with consentAddress, then a line with the user.',
  ])
}

const defaultPort = 8888

async function connect(context: CliContext, options: Options): Promise<number> {
  const { env, scope, out } = context
  const config = enrolConfig(env)
  const postgres = await openDatabase(context)
  const client = await scope.use(openSpotifyClient(config.spotify, { connections: 1 }), 'spotify')
  const { clientId, accountsUrl } = config.spotify
  const attempt = {
    state: randomBytes(24).toString('base64url'),
    verifier: randomBytes(48).toString('base64url'),
  }
  const desk = openConsentDesk(attempt.state, (text) => out.say(text))
  const server = await scope.use(openCallbackServer(options.port, desk.offer), 'callback server')
  const { redirectUri } = server
  desk.open(redirectUri)
  const address = toConsentAddress(accountsUrl, { ...attempt, clientId, redirectUri, scope: neededScope })

  if (out.json) out.printJsonLine({ consentAddress: address, redirectUri })
  else {
    out.say('Open this address in a browser and agree:')
    out.print(address)
    out.say(`Waiting at ${redirectUri}. No browser here? Paste the address that it ends at.`)
  }
  listenForPaste(scope, desk.paste)

  const code = await within(desk.code, options.timeout)
  try {
    const answer = await exchangeCode(client, { code, verifier: attempt.verifier, redirectUri })
    const tokens = tokensOf(answer)
    const enrolled = await enrol({ config, client, postgres, tokens, refreshToken: null })
    const words = toPrintable(describeEnrolled(enrolled))
    desk.close({ status: 200, text: `${words} You may close this window.` })
    if (out.json) out.printJsonLine(enrolled)
    else {
      out.say(words)
      out.print(String(enrolled.id))
    }
    return exitCodes.stopped
  } catch (error) {
    desk.close(toFailurePage(error))
    throw error
  }
}

function toFailurePage(error: unknown): BrowserPage {
  return { status: 502, text: error instanceof CliFault ? explain(error).text : 'This did not work.' }
}

function tokensOf(answer: Awaited<ReturnType<typeof exchangeCode>>): Tokens {
  if (answer.type === 'tokens') return answer.tokens
  const what = describeOutcome(answer.outcome)
  switch (answer.outcome.type) {
    case 'invalid_grant':
      throw new CliFault(
        `Spotify refuses the code (${what})`,
        'A code works once and for some minutes. Start again: songswap users connect',
      )
    case 'invalid_client':
      throw new CliFault(
        `Spotify refuses the app (${what})`,
        'SPOTIFY_CLIENT_ID or SPOTIFY_CLIENT_SECRET is wrong.',
      )
    default:
      throw new CliFault(
        `Spotify gives no tokens for the code (${what})`,
        'Try again later: songswap users connect',
      )
  }
}

function listenForPaste(scope: Scope, paste: (line: string) => void): void {
  const lines = createInterface({ input: process.stdin, terminal: false })
  scope.defer('standard input', () => lines.close())
  lines.on('line', paste)
}

async function within(code: Promise<string>, seconds: number): Promise<string> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const hint = 'Start again when the user is there, or wait longer: --timeout SECONDS'
    reject(new CliFault(`Nobody answered within ${toPlural(seconds, 'second')}`, hint))
  }, seconds * 1000)
  try {
    return await Promise.race([code, late])
  } finally {
    clearTimeout(timer)
  }
}

function toWhole(text: string, most: number): number {
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(n <= most)) throw new InvalidArgumentError(`It must be a whole number up to ${most}.`)
  return n
}
