import type { Command } from 'commander'
import type { Entry } from './command.ts'
import { addCommands, examples } from './command.ts'

const commands: readonly Entry[] = [
  {
    usage: 'connect',
    summary: "connect a user through Spotify's consent page",
    load: () => import('./users/connect.ts'),
  },
  {
    usage: 'add',
    summary: 'add a user by a refresh token on standard input',
    load: () => import('./users/add.ts'),
  },
  { usage: 'list', summary: 'all users and how they fare', load: () => import('./users/list.ts') },
  { usage: 'pause <user>', summary: 'stop polling a user', load: () => import('./users/pause.ts') },
  { usage: 'resume <user>', summary: 'poll a user again', load: () => import('./users/resume.ts') },
]

export async function define(command: Command, argv: readonly string[]): Promise<void> {
  await addCommands(command, commands, argv)
  examples(command, [
    'songswap users connect',
    'songswap users add < refresh-token.txt',
    'songswap users list',
    'songswap users pause 7',
  ])
}
