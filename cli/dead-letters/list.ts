import type { Command } from 'commander'
import { Option } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toCount, toPlural, toRelative } from '../../lib/words.ts'
import type { Letter, LetterState, LetterSummary } from '../../operations/dead-letters/letter.ts'
import { addLetter, foreign, matches, stateOf, toPlace } from '../../operations/dead-letters/letter.ts'
import { allLetters, countRecords, readLetters } from '../../operations/dead-letters/source.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { cut, toPrintable, toTable } from '../terminal/table.ts'
import type { FilterOptions } from './filter.ts'
import { addFilters } from './filter.ts'

interface Options extends FilterOptions {
  state: LetterState | 'all'
  each?: true
}

/** Most letters that --each shows. */
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
  const { out } = context
  const [sql, broker] = await Promise.all([context.operator.postgres(), context.operator.broker()])
  const ranges = await allLetters(broker)
  const progress = context.progress({ total: countRecords(ranges), unit: 'dead letters' })
  const signal = context.interruption()
  const summaries = new Map<string, LetterSummary>()
  const letters: Letter[] = []
  await readLetters({
    ...{ broker, sql, ranges, progress, signal },
    onLetters: async (some) => {
      for (const letter of some.filter((l) => matches(l, options, broker.client.config.prefix))) {
        addLetter(summaries, letter)
        if (options.each) letters.push(letter)
      }
      letters.sort((a, b) => b.diedAt - a.diedAt).splice(eachMax)
    },
  })
  progress.end()
  if (signal.aborted) return exitCodes.fault
  const groups = [...summaries.values()].sort((a, b) => b.lastAt.getTime() - a.lastAt.getTime())
  if (out.json) out.printJson(options.each ? letters.map(toListed) : groups)
  else if (groups.length === 0) out.say(toNothing(options.state))
  else
    out.print((options.each ? toEachLines(letters, out.width) : toGroupLines(groups, out.width)).join('\n'))
  return exitCodes.stopped
}

function toNothing(state: Options['state']): string {
  return `There are no ${state === 'all' ? '' : `${state} `}dead letters of this kind.`
}

function toListed(letter: Letter) {
  const { record, obituary, decision, diedAt } = letter
  const { partition, offset } = record
  return { partition, offset, state: stateOf(letter), diedAt: new Date(diedAt), obituary, decision }
}

/**
 * Counts of each group of dead letters, and when the first and the last of it died.
 *
 * @param counts by state, or of those that a command has chosen
 */
export function toGroupTable(
  groups: readonly LetterSummary[],
  { width, counts }: { width: number; counts: 'states' | 'chosen' },
): string[] {
  const now = new Date()
  const chosen = counts === 'chosen'
  return toTable(
    [
      { title: 'REASON', shrinks: true },
      { title: 'GROUP', shrinks: true },
      { title: 'TOPIC', shrinks: true },
      ...(chosen ? ['COUNT'] : ['OPEN', 'DONE']).map((title) => ({ title, align: 'right' as const })),
      { title: 'FIRST', align: 'right' },
      { title: 'LAST', align: 'right' },
    ],
    groups.map((g) => [
      g.reason,
      g.group,
      g.topic,
      ...(chosen
        ? [toCount(g.open + g.redriven + g.discarded)]
        : [toCount(g.open), toCount(g.redriven + g.discarded)]),
      toRelative(g.firstAt, now),
      toRelative(g.lastAt, now),
    ]),
    width,
  )
}

/** The table, and what the latest of each group says. */
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

function toEachLines(letters: readonly Letter[], width: number): string[] {
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
      toRelative(new Date(letter.diedAt), now),
      stateOf(letter),
      letter.obituary?.group ?? '-',
      letter.obituary?.reason ?? foreign,
      letter.obituary?.message ?? '',
    ]),
    width,
  )
}
