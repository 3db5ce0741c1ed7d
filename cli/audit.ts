import type { Command } from 'commander'
import { exitCodes } from '../lib/lifecycle.ts'
import { audit } from '../operations/audit/audit.ts'
import { toAuditLines } from './audit/screen.ts'
import type { CliContext, Run } from './command.ts'
import { act, examples, notes } from './command.ts'
import { parseMoment } from './terminal/moment.ts'

interface Options {
  since?: Date
  archive: boolean
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'Counts again what entered the stream and where it ended: every item of every page is stored, a duplicate, dropped by name, rejected, or in a dead letter; every record is in the archive. Says in one line whether it adds up.',
    )
    .option('--since <moment>', 'only records from then on: 7d, 90m or 2026-11-24T08:15', parseMoment)
    .option('--no-archive', 'leave the archive out')
  act<Options>(command, run, printAudit)
  examples(command, ['songswap audit', 'songswap audit --since 1d', 'songswap audit --since 7d --json'])
  notes(command, [
    'Reads beside the live groups and moves nothing. What the loader or the archiver have not come to yet counts as waiting, not as a fault.',
    'Looks both ways: every item of a page must have its row, its rejection or its dead letter, and every row that names a page must stand on it. Where a parser was mended since, rows that it would not write are such faults; songswap replay brings them in order.',
    'Exits with 1 when something does not add up; each line then names the partition and offset, of the first 1,000 faults.',
  ])
}

async function printAudit(context: CliContext, options: Options): Promise<number> {
  const { operator, out } = context
  const report = await audit(
    operator,
    { since: options.since ?? null, archive: options.archive },
    {
      signal: context.interruption(),
      onRecords: context.onProgress('records'),
      onObjects: context.onProgress('objects'),
    },
  )
  if (report === null) return exitCodes.fault
  if (out.json) out.printJson(report)
  else out.print(toAuditLines(report, out.width).join('\n'))
  return report.addsUp ? exitCodes.stopped : exitCodes.fault
}
