import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { messageOf } from '../../lib/errors.ts'
import type { PartitionOffset } from '../../lib/kafka/group-admin.ts'
import { OperatorFault } from '../../operations/fault.ts'
import { parseCsv } from '../../operations/offsets/csv.ts'
import { moveOffsets } from '../../operations/offsets/move.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { showMove } from './move-screen.ts'

export function define(command: Command, run: Run): void {
  command
    .description(
      'Moves a group to the offsets of a CSV file (topic,partition,offset), as kafka-consumer-groups --reset-offsets --from-file does. Shows what it would do; does it with --execute. Partitions that the file does not name stay where they are.',
    )
    .option('--execute', 'do it')
  act<{ execute?: true }>(command, run, importOffsets)
  examples(command, [
    'songswap offsets import loader.history before.csv',
    'songswap offsets import loader.history before.csv --execute',
    'songswap offsets import loader.history - < before.csv',
  ])
  notes(command, ['A file named - is standard input. A group with members is refused.'])
}

async function importOffsets(
  context: CliContext,
  options: { execute?: true },
  name = '',
  file = '',
): Promise<number> {
  const offsets = toOffsets(file, await readAll(context.terminal, file))
  const topics = [...new Set(offsets.map((o) => o.topic))].map((topic) => ({ topic, partitions: null }))
  const choice = { group: name, topics, target: { type: 'offsets', offsets } as const }
  return showMove(context, await moveOffsets(context.operator, choice, { execute: options.execute ?? false }))
}

async function readAll({ stdin }: Terminal, file: string): Promise<string> {
  try {
    return file === '-' ? await text(stdin) : await readFile(file, 'utf8')
  } catch (cause) {
    throw fault(`Cannot read ${file}: ${messageOf(cause)}`, cause)
  }
}

function toOffsets(file: string, csv: string): PartitionOffset[] {
  const { lines, faults } = parseCsv(csv)
  if (faults.length > 0) throw fault(faults.slice(0, 10).join('\n'))
  if (lines.length === 0) throw fault(`${file} holds no offsets`)
  return lines
}

function fault(what: string, cause?: unknown): OperatorFault {
  const hint = 'songswap offsets export GROUP writes such a file.'
  return new OperatorFault(what, hint, { cause, code: 'usage' })
}
