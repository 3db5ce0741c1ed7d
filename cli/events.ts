import { type Command, Help, Option } from 'commander'
import { pause } from '../lib/backoff.ts'
import { openCodec } from '../lib/codec.ts'
import { isKnownOutage } from '../lib/errors.ts'
import { eventTypes } from '../lib/events.ts'
import type { RawRecord } from '../lib/kafka/record.ts'
import { exitCodes } from '../lib/lifecycle.ts'
import type { OperationalEvent } from '../lib/topology.ts'
import { toUtc } from '../lib/words.ts'
import { readEvents } from '../operations/events/read.ts'
import { describe } from '../operations/fault.ts'
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

/** Before a follower that lost Kafka tries again. */
const retryMs = 2_000

async function events(context: CliContext, options: Options): Promise<number> {
  const { out } = context
  const now = new Date()
  const broker = await context.operator.broker()
  const codec = openCodec(broker.client.config)
  const signal = context.interruption()
  let shown = 0
  const onEvent = (event: OperationalEvent | null, record: RawRecord) => {
    if (!isMeant(event, record, options)) return
    shown += 1
    if (out.json) out.printJsonLine(event ? { ...event, at: new Date(event.at) } : toUndecoded(record))
    else out.print(event ? toEventLines(event, out).join('\n') : `${record.offset} cannot be decoded`)
  }
  const read = {
    ...{ broker, codec, signal, onEvent },
    since: options.since ?? toMoment('24h', now) ?? now,
    follow: options.follow ?? false,
    positions: new Map<number, number>(),
  }
  while (!signal.aborted) {
    try {
      await readEvents(read)
      break
    } catch (error) {
      if (!options.follow || !isKnownOutage(error)) throw error
      out.say(`${describe(error)}; trying again`)
      await pause(retryMs, signal)
    }
  }
  if (shown === 0 && !options.follow) out.say(`There are no events since ${toUtc(read.since)}.`)
  return exitCodes.stopped
}

function isMeant(event: OperationalEvent | null, record: RawRecord, options: Options): boolean {
  const subject = event?.subject ?? record.key?.toString('utf8')
  if (options.subject !== undefined && subject !== options.subject) return false
  return options.type === undefined || (event !== null && options.type.includes(event.type))
}

function toUndecoded({ partition, offset, timestamp }: RawRecord) {
  return { undecoded: { partition, offset }, at: new Date(timestamp) }
}

const severityStyle: Record<string, 'red' | 'yellow' | 'dim'> = {
  critical: 'red',
  warning: 'yellow',
  info: 'dim',
}
const indent = '  '

/** A line that can be scanned, and the message below it. */
export function toEventLines(event: OperationalEvent, out: Pick<Output, 'style' | 'width'>): string[] {
  const resolved = event.state === 'resolved'
  const word = toPrintable(resolved ? 'resolved' : event.severity)
  const style = resolved ? 'green' : (severityStyle[event.severity] ?? 'dim')
  const [type, subject, service] = [event.type, event.subject, event.service].map(toPrintable)
  const at = toUtc(new Date(event.at))
  const message = new Help().boxWrap(toPrintable(event.message), out.width - indent.length)
  return [
    `${at}  ${out.style(style, word.padEnd(8))}  ${type}  ${subject}  (${service})`,
    ...message.split('\n').map((line) => indent + line),
  ]
}
