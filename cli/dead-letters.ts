import type { Command } from 'commander'
import type { Entry } from './command.ts'
import { addCommands, examples, notes } from './command.ts'

const commands: readonly Entry[] = [
  { usage: 'list', summary: 'what died, grouped', load: () => import('./dead-letters/list.ts') },
  {
    usage: 'show <place>',
    summary: 'one dead letter, decoded',
    load: () => import('./dead-letters/show.ts'),
  },
  {
    usage: 'redrive [place...]',
    summary: 'put records back for the group that failed',
    load: () => import('./dead-letters/redrive.ts'),
  },
  {
    usage: 'discard [place...]',
    summary: 'decide that they need no more care',
    load: () => import('./dead-letters/discard.ts'),
  },
  {
    usage: 'bury <place>',
    summary: 'give up a record that holds up its partition',
    load: () => import('./dead-letters/bury.ts'),
  },
]

export async function define(command: Command, argv: readonly string[]): Promise<void> {
  await addCommands(command, commands, argv)
  examples(command, [
    'songswap dead-letters list',
    'songswap dead-letters show 0/12',
    'songswap dead-letters redrive --reason invalid_page --execute',
    'songswap dead-letters discard 0/12 --note "test data" --execute',
  ])
  notes(command, [
    'A dead letter is open until it is redriven or discarded. Neither removes anything from the topic, which forgets after 90 days.',
  ])
}
