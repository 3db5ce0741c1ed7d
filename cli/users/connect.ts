import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { InvalidArgumentError, Option } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { late, within } from '../../lib/time-limit.ts'
import { toPlural } from '../../lib/words.ts'
import { OperatorFault } from '../../operations/fault.ts'
import { newAttempt, toConsentAddress } from '../../operations/users/consent.ts'
import { enrolByCode } from '../../operations/users/enrol.ts'
import { openEnrolment } from '../../operations/users/enrolment.ts'
import { defaultPort, toPort, toRedirectAddress } from '../../operations/users/redirect-address.ts'
import type { ConsentRequest } from '../../operations/users/report.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { explain } from '../terminal/explain.ts'
import type { Output } from '../terminal/output.ts'
import { openCallbackServer } from './callback-server.ts'
import { openConsentDesk } from './consent-desk.ts'
import { printEnrolled, sayWaiting, toEnrolledText } from './enrolled.ts'

interface Options {
  port: number
  timeout: number
}

export function define(command: Command, run: Run): void {
  command
    .description(
      "Connects a user: prints the address of Spotify's consent page, waits for the browser on a loopback address, stores the tokens and prints the user id. On a machine without a browser, open the address elsewhere and paste the address that the browser ends at (http://127.0.0.1:PORT/callback?code=…, a page that does not load) on standard input. Connecting a known user again replaces the dead token and polls at once.",
    )
    .addOption(
      new Option('--port <number>', 'port of the redirect address; 0: any free one')
        .env('SPOTIFY_REDIRECT_PORT')
        .default(defaultPort)
        .argParser((text) => toPort(text) ?? toWhole(text, 65_535)),
    )
    .addOption(
      new Option('--timeout <seconds>', 'how long to wait for the consent')
        .default(300)
        .argParser((text) => toWhole(text, 86_400)),
    )
  act<Options>(command, run, connect)
  examples(command, ['songswap users connect', 'songswap users connect --port 9000'])
  notes(command, [
    `Spotify's dashboard must list ${toRedirectAddress(defaultPort)} as a redirect address of the app.`,
    'With --json: a line with consentAddress, then a line with the user.',
  ])
}

async function connect(context: CliContext, options: Options): Promise<number> {
  const { operator, out } = context
  const enrolment = await openEnrolment(operator)
  const attempt = newAttempt()
  const desk = openConsentDesk(attempt.state, (text) => out.say(text))
  const { redirectUri } = await operator.scope.use(
    openCallbackServer(options.port, desk.offer),
    'callback server',
  )
  desk.open(redirectUri)
  const consentAddress = toConsentAddress(enrolment.config, { ...attempt, redirectUri })
  printRequest(out, { consentAddress, redirectUri })
  listenForPaste(context, desk.paste)

  const code = await within(options.timeout * 1000, desk.code)
  if (code === late) {
    const hint = 'Start again when the user is there, or wait longer: --timeout SECONDS'
    throw new OperatorFault(`Nobody answered within ${toPlural(options.timeout, 'second')}`, hint)
  }
  try {
    const consent = { code, verifier: attempt.verifier, redirectUri }
    const enrolled = await enrolByCode(enrolment, consent, { onWaiting: sayWaiting(out) })
    desk.close({ status: 200, text: `${toEnrolledText(enrolled)} You may close this window.` })
    printEnrolled(out, enrolled)
    return exitCodes.stopped
  } catch (error) {
    const text = error instanceof OperatorFault ? explain(error).text : 'This did not work.'
    desk.close({ status: 502, text })
    throw error
  }
}

function printRequest(out: Output, { consentAddress, redirectUri }: ConsentRequest): void {
  if (out.json) {
    out.printJsonLine({ consentAddress, redirectUri })
    return
  }
  out.say('Open this address in a browser and agree:')
  out.print(consentAddress)
  out.say(`Waiting at ${redirectUri}\nNo browser here? Paste the address that it ends at.`)
}

function listenForPaste({ operator, terminal }: CliContext, paste: (line: string) => void): void {
  const lines = createInterface({ input: terminal.stdin, terminal: false })
  operator.scope.defer('standard input', () => lines.close())
  lines.on('line', paste)
}

function toWhole(text: string, most: number): number {
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(n <= most)) throw new InvalidArgumentError(`It must be a whole number up to ${most}.`)
  return n
}
