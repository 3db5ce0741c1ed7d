import type { Command } from 'commander'
import type { Entry } from './command.ts'
import { addCommands, examples, notes } from './command.ts'

const commands: readonly Entry[] = [
  {
    usage: 'export <user>',
    summary: "one user's plays, a line each",
    load: () => import('./account/export.ts'),
  },
  {
    usage: 'erase <user>',
    summary: 'remove a user from every place, with a receipt',
    load: () => import('./account/erase.ts'),
  },
  {
    usage: 'index',
    summary: 'make the index that says which object of the archive holds which users',
    load: () => import('./account/index-users.ts'),
  },
  {
    usage: 'rotate-keys',
    summary: 'seal all tokens with the first key',
    load: () => import('./account/rotate-keys.ts'),
  },
]

export async function define(command: Command, argv: readonly string[]): Promise<void> {
  await addCommands(command, commands, argv)
  examples(command, [
    'songswap account export 7 > plays.ndjson',
    'songswap account erase 7 --execute > receipt.txt',
    'songswap account rotate-keys --execute',
  ])
  notes(command, ['Users are named by id or Spotify id, as songswap users list shows them.'])
}
