import type { Entry } from './command.ts'

/** The commands in the order of the help; each is a file (a group: a folder) of its own, loaded when called. */
export const commands: readonly Entry[] = [
  {
    usage: 'status',
    summary: 'whether all is well, on one screen',
    load: () => import('./status.ts'),
  },
  {
    usage: 'users',
    summary: 'who is polled: connect, add, list, pause, resume',
    load: () => import('./users.ts'),
  },
]
