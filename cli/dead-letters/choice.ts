import type { Command } from 'commander'
import type { LetterChoice } from '../../operations/dead-letters/decide.ts'
import type { LetterFilter } from '../../operations/dead-letters/letter.ts'
import { OperatorFault } from '../../operations/fault.ts'
import { parseMoment } from '../terminal/moment.ts'

export type FilterOptions = Omit<LetterFilter, 'state'>

/** Options that choose dead letters, and `--execute`. */
export interface ChoiceOptions extends FilterOptions {
  all?: true
  again?: true
  execute?: true
}

/** Adds the options that filter dead letters; they are the same in every command. */
export function addFilters(command: Command): Command {
  return command
    .option('--reason <reason>', 'only those that died for it, e.g. invalid_page')
    .option('--group <group>', 'only those of this consumer group')
    .option('--topic <topic>', 'only those of this topic')
    .option('--since <moment>', 'only those that died since: 7d, 90m, 2026-11-24T08:15', parseMoment)
}

export function addChoice(command: Command): Command {
  return addFilters(command).option('--all', 'every open one').option('--execute', 'do it')
}

/**
 * The dead letters that the command line chooses.
 *
 * @param verb the command whose help explains the choice
 * @throws OperatorFault unless it names places, a filter or `--all`, and only one of these
 */
export function toChoice(verb: string, places: readonly string[], options: ChoiceOptions): LetterChoice {
  const { reason, group, topic, since, all, again = false } = options
  const fault = (what: string) =>
    new OperatorFault(what, `songswap dead-letters ${verb} --help`, { code: 'usage' })
  const isFiltered = [reason, group, topic, since].some((value) => value !== undefined)
  const ways = [places.length > 0, isFiltered, all].filter(Boolean).length
  if (ways > 1) throw fault('Give places, or a filter, or --all: not several of them')
  if (ways === 0) {
    throw fault('Which ones? Give PARTITION/OFFSET, a filter (--reason, --group, --topic, --since), or --all')
  }
  return { ...(places.length > 0 ? { places } : { filter: options }), again }
}
