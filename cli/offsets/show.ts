import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toCount, toPlural } from '../../lib/words.ts'
import { showOffsets } from '../../operations/offsets/read.ts'
import type { OffsetsReport } from '../../operations/offsets/report.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples } from '../command.ts'
import { toTable } from '../terminal/table.ts'

export function define(command: Command, run: Run): void {
  command.description(
    'Shows for every partition what the topic has, what the group has committed, and what waits.',
  )
  act(command, run, show)
  examples(command, ['songswap offsets show', 'songswap offsets show loader.history --json'])
}

async function show(context: CliContext, _options: object, name?: string): Promise<number> {
  const { out } = context
  const report = await showOffsets(context.operator, name === undefined ? [] : [name])
  if (out.json) out.printJson(report)
  else {
    const blocks = report.map(({ group, state, members, partitions }) => [
      out.style('bold', `${group}  ${state}, ${toPlural(members, 'member')}`),
      ...toOffsetLines(partitions, out.width),
    ])
    out.print(blocks.map((lines) => lines.join('\n')).join('\n\n'))
  }
  return exitCodes.stopped
}

function toOffsetLines(partitions: OffsetsReport[number]['partitions'], width: number): string[] {
  return toTable(
    [
      { title: 'TOPIC', shrinks: true },
      { title: 'PARTITION', align: 'right' },
      { title: 'START', align: 'right' },
      { title: 'COMMITTED', align: 'right' },
      { title: 'END', align: 'right' },
      { title: 'LAG', align: 'right' },
    ],
    partitions.map((p) => [
      p.topic,
      String(p.partition),
      String(p.start),
      p.committed === null ? '-' : String(p.committed),
      String(p.end),
      toCount(p.lag),
    ]),
    width,
  )
}
