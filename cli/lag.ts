import type { Command } from 'commander'
import { createLogUpdate } from 'log-update'
import { pause } from '../lib/backoff.ts'
import { isKnownOutage } from '../lib/errors.ts'
import { isBad, worst } from '../lib/lag/verdict.ts'
import type { GroupStanding } from '../lib/lag/watch.ts'
import { LagWatch } from '../lib/lag/watch.ts'
import { exitCodes } from '../lib/lifecycle.ts'
import { toUtc } from '../lib/words.ts'
import { describe } from '../operations/fault.ts'
import { resolveGroups } from '../operations/groups.ts'
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

async function lag(context: CliContext, options: Options, ...names: string[]): Promise<number> {
  const { out } = context
  const { admin, client, topology } = await context.operator.broker()
  const groups = await resolveGroups(admin, topology, { names, prefix: client.config.prefix })
  const watch = new LagWatch({ admin, client, groups, topology })
  const signal = context.interruption()
  const detail = { all: options.all ?? names.length > 0, members: names.length > 0 }
  if (options.watch) return follow(watch, { context, options, detail, signal })

  const waitMs = (options.for * 1000) / (samplesTaken - 1)
  for (let i = 1; options.for > 0 && i < samplesTaken && !signal.aborted; i++) {
    await watch.sample({ ages: false })
    await pause(waitMs, signal)
  }
  if (signal.aborted) return exitCodes.fault
  const standings = await watch.sample({ ages: true })
  if (out.json) out.printJson(toDocument(standings))
  else out.print(toLagLines(standings, { out, detail }).join('\n'))
  return isBad(worst(standings.map((s) => s.verdict))) ? exitCodes.fault : exitCodes.stopped
}

interface Following {
  context: CliContext
  options: Options
  detail: Parameters<typeof toLagLines>[1]['detail']
  signal: AbortSignal
}

/** One screen that changes, on a terminal; else one after the other. */
async function follow(watch: LagWatch, { context, options, detail, signal }: Following): Promise<number> {
  const { out } = context
  const { stdout } = context.terminal
  const screen = stdout.isTTY && !out.json ? createLogUpdate(stdout as NodeJS.WriteStream) : null
  while (!signal.aborted) {
    const shown = await watch.sample({ ages: true }).catch((error: unknown) => {
      if (!isKnownOutage(error)) throw error
      return describe(error)
    })
    if (signal.aborted) break
    const title = `songswap lag  ${toUtc(new Date())}`
    const lines = typeof shown === 'string' ? [shown] : toLagLines(shown, { out, detail })
    if (screen) screen([title, '', ...lines].join('\n'))
    else if (!out.json) out.print(['', title, ...lines].join('\n'))
    else if (typeof shown === 'string') out.say(shown)
    else out.printJsonLine(toDocument(shown))
    await pause(options.interval * 1000, signal)
  }
  screen?.done()
  return exitCodes.stopped
}

function toDocument(groups: readonly GroupStanding[]) {
  return { at: new Date(), verdict: worst(groups.map((g) => g.verdict)), groups }
}
