import type { Command } from 'commander'
import type { Bound } from '../../operations/rerun/bounds.ts'
import { parseFrom, parsePartitions, parseTo } from '../../operations/rerun/bounds.ts'

/** What replay and restore are asked alike. */
export interface RerunOptions {
  from?: Bound | null
  to?: Bound | null
  partition?: number[]
  user?: number
  rate?: number
  /** true: the latest run that was cut short. */
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

/** Id of the run to go on with; null: the latest. */
export function toRunId(resume: number | true): number | null {
  return resume === true ? null : resume
}
