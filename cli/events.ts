import { type Command, Help, Option } from 'commander'
import { eventTypes } from '../lib/events.ts'
import { exitCodes } from '../lib/lifecycle.ts'
import { toUtc } from '../lib/words.ts'
import { followEvents, readEvents } from '../operations/events/read.ts'
import type { Event, EventReport } from '../operations/events/report.ts'
import type { CliContext, Run } from './command.ts'
import { act, examples, notes } from './command.ts'
import { parseMoment, toMoment } from './terminal/moment.ts'
import type { Output } from './terminal/output.ts'
import { toPrintable } from './terminal/table.ts'

interface Options {
  since?: Date
  type?: string[]
  subject?: string
  follow?: true
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'What the services told: operational events, oldest first. The alerter posts the same to Discord.',
    )
    .option('--since <moment>', '24h, 7d, 2026-11-24T08:15 (default: 24h)', parseMoment)
    .addOption(new Option('--type <type...>', 'only these types').choices(Object.keys(eventTypes)))
    .option('--subject <subject>', 'only about this one: user:7, app, group:loader.history')
    .option('--follow', 'go on with what comes, until Ctrl-C')
  act<Options>(command, run, events)
  examples(command, [
    'songswap events',
    'songswap events --follow',
    'songswap events --since 7d --type user_needs_reauth gap_detected',
    "songswap events --json | jq -r '[.type, .subject, .message] | @tsv'",
  ])
  notes(command, ['--json: one event a line. Events are kept for 30 days.'])
}

async function events(context: CliContext, options: Options): Promise<number> {
  const { out } = context
  const now = new Date()
  const broker = await context.operator.broker()
  let shown = 0
  const onEvent = (report: EventReport) => {
    shown += 1
    if (out.json) out.printJsonLine(report)
    else if ('undecoded' in report) out.print(`${report.undecoded.offset} cannot be decoded`)
    else out.print(toEventLines(report, out).join('\n'))
  }
  const { since = toMoment('24h', now) ?? now, type: types, subject } = options
  const choice = { since, ...(types && { types }), ...(subject !== undefined && { subject }) }
  const reading = { signal: context.interruption(), onEvent }
  if (options.follow) {
    const onOutage = (why: string) => out.say(`${why}; trying again`)
    await followEvents(broker, choice, { ...reading, onOutage })
  } else {
    await readEvents(broker, choice, reading)
    if (shown === 0) out.say(`There are no events since ${toUtc(since)}.`)
  }
  return exitCodes.stopped
}

const severityStyle: Record<string, 'red' | 'yellow' | 'dim'> = {
  critical: 'red',
  warning: 'yellow',
  info: 'dim',
}
const indent = '  '

/** A line of fixed columns, and the message below it. */
export function toEventLines(event: Event, out: Pick<Output, 'style' | 'width'>): string[] {
  const resolved = event.state === 'resolved'
  const word = toPrintable(resolved ? 'resolved' : event.severity)
  const style = resolved ? 'green' : (severityStyle[event.severity] ?? 'dim')
  const [type, subject, service] = [event.type, event.subject, event.service].map(toPrintable)
  const at = toUtc(event.at)
  const message = new Help().boxWrap(toPrintable(event.message), out.width - indent.length)
  return [
    `${at}  ${out.style(style, word.padEnd(8))}  ${type}  ${subject}  (${service})`,
    ...message.split('\n').map((line) => indent + line),
  ]
}
