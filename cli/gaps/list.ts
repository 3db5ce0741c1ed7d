import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toCount, toRelative, toSpan } from '../../lib/words.ts'
import type { GapRow } from '../../operations/gaps/gap-store.ts'
import { readGaps } from '../../operations/gaps/gap-store.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples } from '../command.ts'
import { parseWhole } from '../terminal/numbers.ts'
import { toTable } from '../terminal/table.ts'

interface Options {
  all?: true
  user?: string
  limit: number
}

export function define(command: Command, run: Run): void {
  command
    .description('Lists the open gaps of all users, the newest first.')
    .option('--all', 'closed ones as well')
    .option('--user <user>', 'of one user, by id or Spotify id')
    .option('--limit <n>', 'at most so many', parseWhole, 100)
  act<Options>(command, run, list)
  examples(command, ['songswap gaps list', 'songswap gaps list --all --user 7'])
}

async function list(context: CliContext, options: Options): Promise<number> {
  const { out } = context
  const gaps = await readGaps(await context.operator.postgres(), {
    user: options.user ?? null,
    open: !options.all,
    // One more tells whether there are more.
    limit: options.limit + 1,
  })
  const shown = gaps.slice(0, options.limit)
  if (out.json) out.printJson(shown)
  else if (shown.length === 0) out.say(options.all ? 'There are no gaps.' : 'There are no open gaps.')
  else out.print(toGapLines(shown, { now: new Date(), width: out.width }).join('\n'))
  if (gaps.length > shown.length) out.say(`There are more: --limit ${toCount(options.limit * 2)}`)
  return exitCodes.stopped
}

/** A table; times are UTC, to the minute. */
export function toGapLines(gaps: readonly GapRow[], { now, width }: { now: Date; width: number }): string[] {
  return toTable(
    [
      { title: 'USER', align: 'right' },
      { title: 'NAME', shrinks: true },
      { title: 'AFTER' },
      { title: 'BEFORE' },
      { title: 'SPAN', align: 'right' },
      { title: 'FOUND', align: 'right' },
      { title: 'CLOSED', align: 'right' },
    ],
    gaps.map((g) => [
      String(g.userId),
      g.name ?? '-',
      toMinute(g.after),
      toMinute(g.before),
      toSpan(g.before.getTime() - g.after.getTime()),
      toRelative(g.detectedAt, now),
      toRelative(g.closedAt, now),
    ]),
    width,
  )
}

function toMinute(at: Date): string {
  return at.toISOString().slice(0, 16).replace('T', ' ')
}
