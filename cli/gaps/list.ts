import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toCount, toRelative, toSpan } from '../../lib/words.ts'
import { listGaps } from '../../operations/gaps/list.ts'
import type { GapsReport } from '../../operations/gaps/report.ts'
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
  const { user = null, all = false, limit } = options
  const { gaps, hasMore } = await listGaps(context.operator, { user, all, limit })
  if (out.json) out.printJson(gaps)
  else if (gaps.length === 0) out.say(all ? 'There are no gaps.' : 'There are no open gaps.')
  else out.print(toGapLines(gaps, { now: new Date(), width: out.width }).join('\n'))
  if (hasMore) out.say(`There are more: --limit ${toCount(limit * 2)}`)
  return exitCodes.stopped
}

/** Gaps as a table; times are in UTC, to the minute. */
export function toGapLines(gaps: GapsReport, { now, width }: { now: Date; width: number }): string[] {
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
