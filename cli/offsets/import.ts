import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { messageOf } from '../../lib/errors.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import { openBroker } from '../broker.ts'
import type { CliContext } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { CliFault } from '../fault.ts'
import { resolveGroup } from '../groups.ts'
import { toPrintable } from '../table.ts'
import { moveGroup } from './move.ts'
import type { OffsetLine } from './words.ts'
import { parseCsv } from './words.ts'

export function define(command: Command): void {
  command
    .description(
      'Moves a group to the offsets of a CSV file (topic,partition,offset), as kafka-consumer-groups --reset-offsets --from-file does. Shows what it would do; does it with --execute. Partitions that the file does not name stay where they are.',
    )
    .option('--execute', 'do it')
  act<{ execute?: true }>(command, importOffsets)
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
  const offsets = toOffsets(file, await readAll(file))
  const broker = await openBroker(context)
  const { prefix } = broker.client.config
  const { group, topics } = await resolveGroup(broker.admin, broker.topology, { name, prefix })
  return moveGroup(context, broker, {
    group,
    topics,
    choices: [...new Set(offsets.map((o) => o.topic))].map((topic) => ({ topic, partitions: null })),
    target: { type: 'offsets', offsets },
    execute: options.execute ?? false,
    csv: false,
  })
}

async function readAll(file: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(file, 'utf8')
  } catch (cause) {
    throw fault(`Cannot read ${toPrintable(file)}: ${messageOf(cause)}`, cause)
  }
}

function toOffsets(file: string, csv: string): OffsetLine[] {
  const { lines, faults } = parseCsv(csv)
  if (faults.length > 0) throw fault(faults.slice(0, 10).map(toPrintable).join('\n'))
  if (lines.length === 0) throw fault(`${toPrintable(file)} holds no offsets`)
  return lines
}

function fault(what: string, cause?: unknown): CliFault {
  const hint = 'songswap offsets export GROUP writes such a file.'
  return new CliFault(what, hint, { cause, exitCode: exitCodes.usage })
}
