import type { Command } from 'commander'
import type { Entry } from './command.ts'
import { addCommands, examples } from './command.ts'

const commands: readonly Entry[] = [
  {
    usage: 'show [group]',
    summary: 'where a group, or each of them, stands',
    load: () => import('./offsets/show.ts'),
  },
  { usage: 'reset <group>', summary: 'move a group', load: () => import('./offsets/reset.ts') },
  {
    usage: 'export <group>',
    summary: 'the offsets of a group as CSV',
    load: () => import('./offsets/export.ts'),
  },
  {
    usage: 'import <group> <file>',
    summary: 'move a group to offsets exported before',
    load: () => import('./offsets/import.ts'),
  },
]

export async function define(command: Command, argv: readonly string[]): Promise<void> {
  await addCommands(command, commands, argv)
  examples(command, [
    'songswap offsets show loader.history',
    'songswap offsets export loader.history > before.csv',
    'songswap offsets reset loader.history --all-topics --by-duration P7D',
    'songswap offsets import loader.history before.csv --execute',
  ])
}
