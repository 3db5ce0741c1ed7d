import type { Entry } from './command.ts'

/** The commands in the order of the help; each is a file (a group: a folder) of its own, loaded when called. */
export const commands: readonly Entry[] = [
  {
    usage: 'status',
    summary: 'whether all is well, on one screen',
    load: () => import('./status.ts'),
  },
  {
    usage: 'doctor',
    summary: 'checks everything from the outside, and says what to do',
    load: () => import('./doctor.ts'),
  },
  {
    usage: 'users',
    summary: 'who is polled: connect, add, list, pause, resume',
    load: () => import('./users.ts'),
  },
  { usage: 'lag', summary: 'how far each group is behind', load: () => import('./lag.ts') },
  {
    usage: 'offsets',
    summary: 'where the groups stand: show, reset, export, import',
    load: () => import('./offsets.ts'),
  },
  {
    usage: 'dead-letters',
    summary: 'records that could not be dealt with: list, show, redrive, discard, bury',
    load: () => import('./dead-letters.ts'),
  },
  {
    usage: 'gaps',
    summary: 'where plays are missing: list, show',
    load: () => import('./gaps.ts'),
  },
  { usage: 'events', summary: 'what the services told', load: () => import('./events.ts') },
  { usage: 'audit', summary: 'count again where everything ended', load: () => import('./audit.ts') },
  {
    usage: 'replay <group>',
    summary: 'run records of a topic again',
    load: () => import('./replay.ts'),
  },
  {
    usage: 'restore',
    summary: 'load from the archive, or put back into a topic',
    load: () => import('./restore.ts'),
  },
  {
    usage: 'account',
    summary: 'one person: export, erase; and the keys of all tokens',
    load: () => import('./account.ts'),
  },
]
