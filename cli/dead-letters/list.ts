import type { Command } from 'commander'
import { Option } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toCount, toPlural, toRelative } from '../../lib/words.ts'
import { foreign, toPlace } from '../../operations/dead-letters/letter.ts'
import { listLetters, summarizeLetters } from '../../operations/dead-letters/list.ts'
import type { LetterState, LetterSummary, ListedLetter } from '../../operations/dead-letters/report.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { cut, toPrintable, toTable } from '../terminal/table.ts'
import type { FilterOptions } from './choice.ts'
import { addFilters } from './choice.ts'
import { toGroupTable } from './groups.ts'

interface Options extends FilterOptions {
  state: LetterState | 'all'
  each?: true
}

/** At most this many letters are shown with --each. */
const eachMax = 1_000

export function define(command: Command, run: Run): void {
  command.description(
    'Lists dead letters, grouped by reason, consumer group and topic, the latest group first.',
  )
  addFilters(command)
    .addOption(
      new Option('--state <state>', 'open, redriven, discarded or all')
        .choices(['open', 'redriven', 'discarded', 'all'])
        .default('open'),
    )
    .option('--each', `every dead letter by itself, the latest ${toCount(eachMax)}`)
  act<Options>(command, run, list)
  examples(command, [
    'songswap dead-letters list',
    'songswap dead-letters list --state all --since 7d',
    'songswap dead-letters list --group loader.history --each',
  ])
  notes(command, [
    `A record of the topic that no service put there has the reason "${foreign}". Exits with 0 also when some are open.`,
  ])
}

async function list(context: CliContext, options: Options): Promise<number> {
  const { operator, out } = context
  const watch = { signal: context.interruption(), onProgress: context.onProgress('dead letters') }
  const print = <T>(report: readonly T[], toLines: (report: readonly T[], width: number) => string[]) => {
    if (watch.signal.aborted) return exitCodes.fault
    if (out.json) out.printJson(report)
    else if (report.length === 0) out.say(toNothing(options.state))
    else out.print(toLines(report, out.width).join('\n'))
    return exitCodes.stopped
  }
  return options.each
    ? print(await listLetters(operator, { ...options, most: eachMax }, watch), toEachLines)
    : print(await summarizeLetters(operator, options, watch), toGroupLines)
}

function toNothing(state: Options['state']): string {
  return `There are no ${state === 'all' ? '' : `${state} `}dead letters of this kind.`
}

/** The table, and the message of the latest letter of each group. */
function toGroupLines(groups: readonly LetterSummary[], width: number): string[] {
  const open = groups.reduce((sum, g) => sum + g.open, 0)
  return [
    ...toGroupTable(groups, { width, counts: 'states' }),
    '',
    'The latest of each (songswap dead-letters show PLACE):',
    ...groups.map((g) => cut(`${g.example.place}  ${g.reason}: ${toPrintable(g.example.message)}`, width)),
    '',
    `${toPlural(open, 'dead letter')} open.`,
  ]
}

function toEachLines(letters: readonly ListedLetter[], width: number): string[] {
  const now = new Date()
  return toTable(
    [
      { title: 'PLACE' },
      { title: 'DIED', align: 'right' },
      { title: 'STATE' },
      { title: 'GROUP', shrinks: true },
      { title: 'REASON' },
      { title: 'MESSAGE', shrinks: true },
    ],
    letters.map((letter) => [
      toPlace(letter),
      toRelative(letter.diedAt, now),
      letter.state,
      letter.obituary?.group ?? '-',
      letter.obituary?.reason ?? foreign,
      letter.obituary?.message ?? '',
    ]),
    width,
  )
}
