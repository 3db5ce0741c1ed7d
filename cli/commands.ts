import type { Entry } from './command.ts'

/** The commands in the order of the help. Each has its own file, which is loaded when the command is called. */
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
    commands: [
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
    ],
    examples: [
      'songswap users connect',
      'songswap users add < refresh-token.txt',
      'songswap users list',
      'songswap users pause 7',
    ],
  },
  { usage: 'lag', summary: 'how far each group is behind', load: () => import('./lag.ts') },
  {
    usage: 'offsets',
    summary: 'where the groups stand: show, reset, export, import',
    commands: [
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
    ],
    examples: [
      'songswap offsets show loader.history',
      'songswap offsets export loader.history > before.csv',
      'songswap offsets reset loader.history --all-topics --by-duration P7D',
      'songswap offsets import loader.history before.csv --execute',
    ],
  },
  {
    usage: 'dead-letters',
    summary: 'records that could not be dealt with: list, show, redrive, discard, bury',
    commands: [
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
    ],
    examples: [
      'songswap dead-letters list',
      'songswap dead-letters show 0/12',
      'songswap dead-letters redrive --reason invalid_page --execute',
      'songswap dead-letters discard 0/12 --note "test data" --execute',
    ],
    notes: [
      'A dead letter is open until it is redriven or discarded. Neither removes anything from the topic, which forgets after 90 days.',
    ],
  },
  {
    usage: 'gaps',
    summary: 'where plays are missing: list, show',
    commands: [
      { usage: 'list', summary: 'where plays are missing', load: () => import('./gaps/list.ts') },
      {
        usage: 'show <user>',
        summary: 'the gaps of a user: why, and closed by what',
        load: () => import('./gaps/show.ts'),
      },
    ],
    examples: ['songswap gaps list', 'songswap gaps show 7'],
    notes: [
      'Spotify shows the last 50 plays. A gap is a stretch between two of them that no page has shown: a full page began later than the newest play known.',
    ],
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
    commands: [
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
    ],
    examples: [
      'songswap account export 7 > plays.ndjson',
      'songswap account erase 7 --execute > receipt.txt',
      'songswap account rotate-keys --execute',
    ],
    notes: ['Users are named by id or Spotify id, as songswap users list shows them.'],
  },
]
