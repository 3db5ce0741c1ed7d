import type { Command } from 'commander'
import type { LetterFilter } from '../../operations/dead-letters/letter.ts'
import { parseMoment } from '../terminal/moment.ts'

/** Options that choose among dead letters, alike in every command. */
export type FilterOptions = Pick<LetterFilter, 'reason' | 'group' | 'topic' | 'since'>

export function addFilters(command: Command): Command {
  return command
    .option('--reason <reason>', 'only those that died for it, e.g. invalid_page')
    .option('--group <group>', 'only those of this consumer group')
    .option('--topic <topic>', 'only those of this topic')
    .option('--since <moment>', 'only those that died since: 7d, 90m, 2026-11-24T08:15', parseMoment)
}

export function isFiltered(o: FilterOptions): boolean {
  return [o.reason, o.group, o.topic, o.since].some((v) => v !== undefined)
}
