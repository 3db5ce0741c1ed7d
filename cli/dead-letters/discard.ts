import type { Command } from 'commander'
import { discard } from '../../operations/dead-letters/discard.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import type { ChoiceOptions } from './choice.ts'
import { addChoice, toChoice } from './choice.ts'
import { reportDecision } from './decision.ts'

type Options = ChoiceOptions & { note?: string }

export function define(command: Command, run: Run): void {
  command.description(
    'Notes that dead letters need no more care: they are open no longer. Shows what it would do; does it with --execute.',
  )
  addChoice(command).option('--note <text>', 'why; shown with each of them')
  act<Options>(command, run, work)
  examples(command, [
    'songswap dead-letters discard 0/12 --note "test data" --execute',
    'songswap dead-letters discard --reason unexpected_status --execute',
  ])
  notes(command, ['A discarded dead letter can still be shown, and redriven with --again.'])
}

async function work(context: CliContext, options: Options, ...places: string[]): Promise<number> {
  const report = await discard(context.operator, toChoice('discard', places, options), {
    execute: options.execute ?? false,
    note: options.note ?? null,
    signal: context.interruption(),
    onProgress: context.onProgress('dead letters'),
  })
  return reportDecision(context.out, report, { infinitive: 'Discard', done: 'discarded' })
}
