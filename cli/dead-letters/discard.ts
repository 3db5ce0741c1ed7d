import type { Command } from 'commander'
import type { ChoiceOptions } from '../../operations/dead-letters/choose.ts'
import { addChoice, decideOn } from '../../operations/dead-letters/choose.ts'
import { decide } from '../../operations/dead-letters/decisions.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'

export function define(command: Command, run: Run): void {
  command.description(
    'Notes that dead letters need no more care: they are open no longer. Shows what it would do; does it with --execute.',
  )
  addChoice(command).option('--note <text>', 'why; shown with each of them')
  act<ChoiceOptions & { note?: string }>(command, run, discard)
  examples(command, [
    'songswap dead-letters discard 0/12 --note "test data" --execute',
    'songswap dead-letters discard --reason unexpected_status --execute',
  ])
  notes(command, ['A discarded dead letter can still be shown, and redriven with --again.'])
}

async function discard(
  context: CliContext,
  options: ChoiceOptions & { note?: string },
  ...places: string[]
): Promise<number> {
  return decideOn(context, {
    places,
    options,
    words: { infinitive: 'Discard', done: 'discarded' },
    refusal: () => null,
    carryOut: async (letters, { sql }) => {
      await decide(sql, letters, { state: 'discarded', note: options.note ?? null })
      return []
    },
  })
}
