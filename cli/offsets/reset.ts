import type { Command } from 'commander'
import { Option } from 'commander'
import { OperatorFault } from '../../operations/fault.ts'
import type { TopicChoice } from '../../operations/offsets/move.ts'
import { moveOffsets } from '../../operations/offsets/move.ts'
import type { Target } from '../../operations/offsets/plan.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { parseWhole } from '../terminal/numbers.ts'
import { showMove } from './move-screen.ts'
import { collectTopic, parseDatetime, parseDuration, parseShift } from './options.ts'

interface Options {
  allTopics?: true
  topic?: TopicChoice[]
  toEarliest?: true
  toLatest?: true
  toCurrent?: true
  toDatetime?: Date
  byDuration?: number
  shiftBy?: number
  toOffset?: number
  export?: true
  dryRun?: true
  execute?: true
}

const scopes = ['allTopics', 'topic']
const targets = [
  ...['toEarliest', 'toLatest', 'toCurrent'],
  ...['toDatetime', 'byDuration', 'shiftBy', 'toOffset'],
]

export function define(command: Command, run: Run): void {
  command.description(
    "Moves a group's committed offsets, with the words of kafka-consumer-groups --reset-offsets. Shows what it would do; does it with --execute. To run records again beside the live group, songswap replay is the better tool: it stops nobody.",
  )
  const choices: [flags: string, text: string, parse?: (text: string) => unknown][] = [
    ['--to-earliest', 'to the first record there is'],
    ['--to-latest', 'to the end: what waits is skipped'],
    ['--to-current', 'to where it stands'],
    ['--to-datetime <date>', 'to the first record since then (UTC)', parseDatetime],
    ['--by-duration <duration>', 'to the first record since so long ago: P7D', parseDuration],
    ['--shift-by <n>', 'by so many records, back if negative', parseShift],
    ['--to-offset <n>', 'to this offset', parseWhole],
  ]
  command
    .addOption(new Option('--all-topics', 'all topics that the group reads').conflicts('topic'))
    .addOption(
      new Option('--topic <topic>', 'one topic, or topic:0,1 for partitions; repeatable').argParser(
        (text: string, before: unknown) => collectTopic(text, before as TopicChoice[] | undefined),
      ),
    )
  for (const [flags, text, parse] of choices) {
    const option = new Option(flags, text)
    if (parse) option.argParser(parse)
    command.addOption(option.conflicts(targets.filter((t) => t !== option.attributeName())))
  }
  command
    .option('--export', 'print the new offsets as CSV')
    .addOption(new Option('--dry-run', 'only show it (the default)').conflicts('execute'))
    .option('--execute', 'do it')
  act<Options>(command, run, reset)
  examples(command, [
    'songswap offsets reset loader.history --all-topics --to-earliest',
    'songswap offsets reset loader.history --all-topics --by-duration P7D',
    'songswap offsets reset archiver --topic spotify.metadata:0,1 --shift-by -100',
    'songswap offsets reset alerter --all-topics --to-latest --execute',
  ])
  notes(command, [
    'Targets outside of what a topic has become its first or last offset ("clamped"). A group with members is refused: stop its service first.',
  ])
}

async function reset(context: CliContext, options: Options, name = ''): Promise<number> {
  const target = toTarget(options, Date.now())
  if (!scopes.some((s) => s in options)) throw usage('--all-topics or --topic is missing')
  if (!target) throw usage('The target is missing: --to-earliest, --to-latest, --by-duration, …')
  const choice = { group: name, topics: options.topic ?? [], target }
  const report = await moveOffsets(context.operator, choice, { execute: options.execute ?? false })
  return showMove(context, report, { csv: options.export ?? false })
}

/** @param now Unix time in milliseconds */
function toTarget(o: Options, now: number): Target | null {
  if (o.toEarliest) return { type: 'earliest' }
  if (o.toLatest) return { type: 'latest' }
  if (o.toCurrent) return { type: 'current' }
  if (o.toDatetime) return { type: 'datetime', at: o.toDatetime.getTime() }
  if (o.byDuration !== undefined) return { type: 'datetime', at: Math.max(0, now - o.byDuration) }
  if (o.shiftBy !== undefined) return { type: 'shift', by: o.shiftBy }
  if (o.toOffset !== undefined) return { type: 'offset', offset: o.toOffset }
  return null
}

function usage(what: string): OperatorFault {
  return new OperatorFault(what, 'songswap offsets reset --help shows what is possible.', {
    code: 'usage',
  })
}
