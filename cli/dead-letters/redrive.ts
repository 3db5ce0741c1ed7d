import type { Command } from 'commander'
import { redrive } from '../../operations/dead-letters/redrive.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import type { ChoiceOptions } from './choice.ts'
import { addChoice, toChoice } from './choice.ts'
import { reportDecision } from './decision.ts'

export function define(command: Command, run: Run): void {
  command.description(
    'Puts the records of dead letters back on their topics, for the group that failed alone: other groups skip them. The same key, value and headers, so the same partition and schema. Shows what it would do; does it with --execute.',
  )
  addChoice(command).option('--again', 'also those that were redriven before; discarded ones by their place')
  act<ChoiceOptions>(command, run, work)
  examples(command, [
    'songswap dead-letters redrive 0/12 --execute',
    'songswap dead-letters redrive --reason invalid_page --since 7d',
    'songswap dead-letters redrive --all --execute',
  ])
  notes(command, [
    'A record that fails again becomes a new dead letter. What was redriven is not redriven again without --again, but a redrive that is killed may have put back up to 500 records that are not noted down yet: they come twice, and the second time changes nothing.',
    'On a compacted topic (spotify.metadata) the record put back is the newest of its key; rows are never turned back by it.',
    'Exits with 1 when some could not be put back, or after Ctrl-C.',
  ])
}

async function work(context: CliContext, options: ChoiceOptions, ...places: string[]): Promise<number> {
  const report = await redrive(context.operator, toChoice('redrive', places, options), {
    execute: options.execute ?? false,
    signal: context.interruption(),
    onProgress: context.onProgress('dead letters'),
  })
  return reportDecision(context.out, report, { infinitive: 'Redrive', done: 'redriven' })
}
