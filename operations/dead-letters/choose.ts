import type { Command } from 'commander'
import type { CliContext } from '../../cli/command.ts'
import type { FilterOptions } from '../../cli/dead-letters/filter.ts'
import { addFilters, isFiltered } from '../../cli/dead-letters/filter.ts'
import { toGroupTable } from '../../cli/dead-letters/list.ts'
import { toPrintable } from '../../cli/terminal/table.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { Topology } from '../../lib/topology.ts'
import { toPlural } from '../../lib/words.ts'
import { OperatorFault } from '../fault.ts'
import type { Broker } from '../operator.ts'
import { asOnlyDecider } from './decisions.ts'
import type { Letter, LetterSummary } from './letter.ts'
import { addLetter, matches, stateOf, toPlace } from './letter.ts'
import { allLetters, countRecords, namedLetters, readLetters } from './source.ts'

/** How an operator says which dead letters are meant. */
export interface ChoiceOptions extends FilterOptions {
  all?: true
  again?: true
  execute?: true
}

export function addChoice(command: Command): Command {
  return addFilters(command).option('--all', 'every open one').option('--execute', 'do it')
}

/** A letter that stays open, and why. */
export interface Failure {
  letter: Letter
  reason: string
}

interface Decider {
  places: readonly string[]
  options: ChoiceOptions
  words: { infinitive: string; done: string }
  /** Why a letter cannot be dealt with so; null: it can. */
  refusal: (letter: Letter, topology: Topology) => string | null
  /** Carries a decision out and notes it down; returns what could not be carried out. */
  carryOut: (letters: Letter[], at: { broker: Broker; sql: Sql }) => Promise<Failure[]>
}

interface Tally {
  /** Chosen and (with --execute) carried out. */
  done: number
  summaries: Map<string, LetterSummary>
  failures: Failure[]
  /** Named by place, but decided on before. */
  decided: Letter[]
}

/**
 * Reads the chosen dead letters, and carries a decision out on each, in the order of the topic; without
 * `--execute` it only tells which ones these are. Stops between two portions on Ctrl-C.
 */
export async function decideOn(context: CliContext, decider: Decider): Promise<number> {
  const { places, options } = decider
  checkChoice(decider)
  const [postgres, broker] = await Promise.all([context.operator.postgres(), context.operator.broker()])
  const ranges = places.length > 0 ? await namedLetters(broker, places) : await allLetters(broker)
  const signal = context.interruption()
  const progress = context.progress({ total: countRecords(ranges), unit: 'dead letters' })
  const tally: Tally = { done: 0, summaries: new Map(), failures: [], decided: [] }
  const read = () =>
    readLetters({
      ...{ broker, sql: postgres, ranges, progress, signal },
      onLetters: async (letters) => {
        if (!signal.aborted) await dealWith(letters, { decider, broker, sql: postgres, tally })
      },
    })
  try {
    await (options.execute ? asOnlyDecider(postgres, read) : read())
  } finally {
    progress.end()
  }
  report(context, { decider, tally, aborted: signal.aborted })
  return tally.failures.length > 0 || signal.aborted ? exitCodes.fault : exitCodes.stopped
}

function checkChoice({ places, options, words }: Decider): void {
  const fault = (what: string) =>
    new OperatorFault(what, `songswap dead-letters ${words.infinitive.toLowerCase()} --help`, {
      code: 'usage',
    })
  const ways = [places.length > 0, isFiltered(options), options.all ?? false].filter(Boolean).length
  if (ways > 1) throw fault('Give places, or a filter, or --all: not several of them')
  if (ways === 0) {
    throw fault('Which ones? Give PARTITION/OFFSET, a filter (--reason, --group, --topic, --since), or --all')
  }
}

async function dealWith(
  letters: readonly Letter[],
  at: { decider: Decider; broker: Broker; sql: Sql; tally: Tally },
): Promise<void> {
  const { decider, broker, sql, tally } = at
  const { options, places } = decider
  const { prefix } = broker.client.config
  const meant = letters.filter((l) => matches(l, { ...options, state: 'all' }, prefix))
  // What was discarded comes back only by its place: nobody means it by "all".
  const again = (l: Letter) => options.again && (stateOf(l) === 'redriven' || places.length > 0)
  const open = meant.filter((l) => stateOf(l) === 'open' || again(l))
  if (places.length > 0) tally.decided.push(...meant.filter((l) => !open.includes(l)))

  const refused = open.flatMap((letter) => {
    const reason = decider.refusal(letter, broker.topology)
    return reason === null ? [] : [{ letter, reason }]
  })
  const chosen = open.filter((l) => !refused.some((r) => r.letter === l))
  const failed = options.execute && chosen.length > 0 ? await decider.carryOut(chosen, { broker, sql }) : []
  const done = chosen.filter((l) => !failed.some((f) => f.letter === l))
  tally.failures.push(...refused, ...failed)
  tally.done += done.length
  for (const letter of done) addLetter(tally.summaries, letter)
}

const failuresShown = 10

function report(
  { out }: CliContext,
  { decider, tally, aborted }: { decider: Decider; tally: Tally; aborted: boolean },
): void {
  const { words, options } = decider
  const groups = [...tally.summaries.values()]
  const failures = tally.failures.map(({ letter, reason }) => ({ place: toPlace(letter), reason }))
  if (out.json) {
    const decided = tally.decided.map((l) => ({ place: toPlace(l), state: stateOf(l) }))
    out.printJson({
      executed: options.execute ?? false,
      done: tally.done,
      groups,
      failures,
      decided,
      aborted,
    })
    return
  }
  if (groups.length > 0) out.print(toGroupTable(groups, { width: out.width, counts: 'chosen' }).join('\n'))
  for (const { place, reason } of failures.slice(0, failuresShown)) {
    out.say(`${place} cannot be ${words.done}: ${toPrintable(reason)}`)
  }
  if (failures.length > failuresShown) out.say(`… and ${failures.length - failuresShown} more.`)
  for (const l of tally.decided) out.say(`${toPlace(l)} is ${stateOf(l)} already.`)
  const what = toPlural(tally.done, 'dead letter')
  if (aborted) out.say('Interrupted: what was not reached is open as before.')
  if (options.execute) out.say(`${what} ${words.done}.`)
  else if (tally.done === 0) out.say('There are none to deal with.')
  else out.say(`Nothing was changed. ${words.infinitive} ${what} with: --execute`)
}
