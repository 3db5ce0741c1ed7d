import type { Command } from 'commander'
import type { Entry } from './command.ts'
import { addCommands, examples, notes } from './command.ts'

const commands: readonly Entry[] = [
  { usage: 'list', summary: 'where plays are missing', load: () => import('./gaps/list.ts') },
  {
    usage: 'show <user>',
    summary: 'the gaps of a user: why, and closed by what',
    load: () => import('./gaps/show.ts'),
  },
]

export async function define(command: Command, argv: readonly string[]): Promise<void> {
  await addCommands(command, commands, argv)
  examples(command, ['songswap gaps list', 'songswap gaps show 7'])
  notes(command, [
    'Spotify shows the last 50 plays. A gap is a stretch between two of them that no page has shown: a full page began later than the newest play known.',
  ])
}
