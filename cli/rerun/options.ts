import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import type { Bound, Choice } from '../../operations/rerun/bounds.ts'
import type { Resume } from '../../operations/rerun/journal.ts'
import { parseWhole } from '../terminal/numbers.ts'
import { parseFrom, parsePartitions, parseTo } from './bound-text.ts'

/** The options that replay and restore share. */
export interface RerunOptions {
  from?: Bound | null
  to?: Bound | null
  partition?: number[]
  user?: number
  rate?: number
  allowRemoval?: number
  /** `true` for the latest run that was cut short. */
  resume?: number | true
  execute?: true
}

/** Defines the options that choose a range of a topic. */
export function defineRange(command: Command): Command {
  return command
    .option('--from <bound>', 'earliest (the default), 7d, a date, or offsets', parseFrom)
    .option('--to <bound>', 'latest (the default), a date, or offsets (not included)', parseTo)
    .option('--partition <list>', 'only these: 0,3', parsePartitions)
}

/** Defines the options for the rate of a run and for how many plays it may remove. */
export function defineLimits(command: Command): Command {
  return command
    .option('--rate <n>', 'at most so many records a second', parseRate)
    .option(
      '--allow-removal <percent>',
      'remove up to this share of the plays of the range; default: 1, or 50 plays',
      parsePercent,
    )
}

/** The part of the choice that both operations share. */
export function toChoice(
  options: RerunOptions,
): Choice & { user: number | null; rate: number | null; allowedPercent: number | null; resume: Resume } {
  const { from = null, to = null, partition = null, user = null, rate = null, resume = null } = options
  return {
    ...{ from, to, partitions: partition, user, rate },
    allowedPercent: options.allowRemoval ?? null,
    resume: resume === true ? 'latest' : resume,
  }
}

function parseRate(text: string): number {
  return Math.max(1, parseWhole(text))
}

function parsePercent(text: string): number {
  const percent = parseWhole(text)
  if (percent <= 100) return percent
  throw new InvalidArgumentError('Give a percentage, 0 to 100.')
}
