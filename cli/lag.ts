import type { Command } from 'commander'
import { createLogUpdate } from 'log-update'
import { isBad } from '../lib/lag/verdict.ts'
import { exitCodes } from '../lib/lifecycle.ts'
import { toUtc } from '../lib/words.ts'
import { followLag, judgeLag } from '../operations/lag/judge.ts'
import type { LagReport } from '../operations/lag/report.ts'
import type { CliContext, Run } from './command.ts'
import { act, examples, notes } from './command.ts'
import { toLagLines } from './lag/screen.ts'
import { parseSeconds } from './terminal/numbers.ts'

interface Options {
  watch?: true
  interval: number
  for: number
  all?: true
}

export function define(command: Command, run: Run): void {
  command
    .argument('[group...]', "groups to look at; all of the stream's own by default")
    .description(
      'How far each consumer group is behind, in records and in time, and whether it is getting on. Takes a sample, waits, and takes more: one sample alone cannot tell a group that works from one that is stuck.',
    )
    .option('--watch', 'go on until Ctrl-C')
    .option('--interval <seconds>', 'between two samples while watching', parseSeconds(1), 5)
    .option('--for <seconds>', 'how long to sample when not watching; 0: one sample', parseSeconds(0), 4)
    .option('--all', 'every partition, not only those where records wait')
  act<Options>(command, run, lag)
  examples(command, [
    'songswap lag',
    'songswap lag loader.history',
    'songswap lag --watch --interval 2',
    "songswap lag --json | jq '.groups[] | {group, lag, verdict}'",
  ])
  notes(command, help)
}

const help = [
  'OLDEST is the age of the oldest record that waits, by its own timestamp, to ten seconds or a fiftieth. Verdicts, after the rules of Burrow: ok; warn: it reads, but what waits does not become less; rewind: its offset went back and has not caught up; stall: members, but the offset does not move; stop: records wait and nobody is there; unknown: one sample was not enough.',
  'Stall and warn need a record that has waited for longer than the patience with its group: 5 minutes in the loaders, 15 in archiver and alerter, which commit seldom by design, 14 hours in the enricher, which waits for what polling leaves of the request budget. The alerter judges by the same figures.',
  'Exits with 1 when a group has stopped, stalls or has rewound; while watching, with 0 on Ctrl-C.',
]

const samplesTaken = 3

async function lag(context: CliContext, options: Options, ...groups: string[]): Promise<number> {
  const { out } = context
  const broker = await context.operator.broker()
  const signal = context.interruption()
  const detail = { all: options.all ?? groups.length > 0, members: groups.length > 0 }
  if (options.watch) {
    const reports = followLag(broker, { groups, apartMs: options.interval * 1000, signal })
    return follow(reports, { context, detail })
  }
  const samples = options.for > 0 ? samplesTaken : 1
  const apartMs = (options.for * 1000) / (samplesTaken - 1)
  const report = await judgeLag(broker, { groups, samples, apartMs, signal })
  if (signal.aborted) return exitCodes.fault
  if (out.json) out.printJson(report)
  else out.print(toLagLines(report.groups, { out, detail }).join('\n'))
  return isBad(report.verdict) ? exitCodes.fault : exitCodes.stopped
}

interface Following {
  context: CliContext
  detail: Parameters<typeof toLagLines>[1]['detail']
}

/** Redraws one screen on a terminal; elsewhere prints one report after the other. */
async function follow(
  reports: AsyncIterable<LagReport | string>,
  { context, detail }: Following,
): Promise<number> {
  const { out } = context
  const { stdout } = context.terminal
  const screen = stdout.isTTY && !out.json ? createLogUpdate(stdout as NodeJS.WriteStream) : null
  for await (const seen of reports) {
    const title = `songswap lag  ${toUtc(new Date())}`
    const lines = typeof seen === 'string' ? [seen] : toLagLines(seen.groups, { out, detail })
    if (screen) screen([title, '', ...lines].join('\n'))
    else if (!out.json) out.print(['', title, ...lines].join('\n'))
    else if (typeof seen === 'string') out.say(seen)
    else out.printJsonLine(seen)
  }
  screen?.done()
  return exitCodes.stopped
}
