import type { Command } from 'commander'
import { openCodec } from '../../lib/codec.ts'
import { deadLetterReasons } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import { openBroker } from '../broker.ts'
import type { CliContext } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { openDatabase } from '../database.ts'
import { CliFault, describe } from '../fault.ts'
import { interruption } from '../interrupt.ts'
import { openProgress } from '../progress.ts'
import { toPrintable } from '../table.ts'
import { toUtc } from '../words.ts'
import type { Letter } from './letter.ts'
import { stateOf, toPlace } from './letter.ts'
import { namedLetters, readLetters } from './source.ts'
import type { ShownValue } from './value.ts'
import { toShownValue, toValueLines } from './value.ts'

export function define(command: Command): void {
  command.description(
    'Shows one dead letter, by its partition and offset in the dead-letter topic: why it died, where it came from, its key and headers, and its value, decoded with the schema that it was written with.',
  )
  act(command, show)
  examples(command, [
    'songswap dead-letters show 0/12',
    'songswap dead-letters show 0/12 --json | jq -r .value.body.text',
  ])
  notes(command, ['--json holds the bytes of key, value and headers in base64 as well.'])
}

async function show(context: CliContext, _options: object, place = ''): Promise<number> {
  const { out } = context
  const [sql, broker] = await Promise.all([openDatabase(context), openBroker(context)])
  const found: Letter[] = []
  await readLetters({
    ...{ broker, sql, ranges: await namedLetters(broker, [place]) },
    progress: openProgress({ total: 1, unit: 'dead letters' }),
    signal: interruption(context.scope),
    onLetters: async (letters) => void found.push(...letters),
  })
  const [letter] = found
  if (!letter) throw new CliFault(`${place} cannot be read any more`, 'The topic has just forgotten it.')
  const value = await decodeValue(letter.record, broker.client.config.registryUrl)
  if (out.json) out.printJson(toDocument(letter, value))
  else out.print([...toFactLines(letter), '', ...toValueLines(value)].join('\n'))
  return exitCodes.stopped
}

/** A registry that is away keeps nobody from seeing the rest. */
async function decodeValue(record: RawRecord, registryUrl: string): Promise<ShownValue> {
  try {
    return toShownValue(record.bytes, await openCodec(registryUrl).decode(record.bytes))
  } catch (error) {
    return toShownValue(record.bytes, {
      type: 'undecodable',
      reason: 'unknown_schema',
      message: describe(error),
    })
  }
}

function toDocument(letter: Letter, value: ShownValue) {
  const { record, obituary, decision, diedAt } = letter
  return {
    partition: record.partition,
    offset: record.offset,
    state: stateOf(letter),
    diedAt: new Date(diedAt),
    obituary,
    decision,
    key: record.key && { text: record.key.toString('utf8'), base64: record.key.toString('base64') },
    headers: record.headers.map((h) => ({
      name: h.name,
      text: h.value?.toString('utf8') ?? null,
      base64: h.value?.toString('base64') ?? null,
    })),
    timestamp: new Date(record.timestamp),
    value,
  }
}

function toFactLines(letter: Letter): string[] {
  const { record, obituary, diedAt } = letter
  const facts: [string, string][] = [
    ['place', `${toPlace(letter)} of ${record.topic}`],
    ['state', toState(letter)],
    ['died', toUtc(new Date(diedAt))],
    ...(obituary
      ? ([
          [
            'group',
            `${obituary.group}, after ${obituary.attempts} ${obituary.attempts === 1 ? 'try' : 'tries'}`,
          ],
          ['reason', `${obituary.reason}: ${toReasonWords(obituary.reason)}`],
          ['message', obituary.message],
          [
            'record',
            `${obituary.topic} ${obituary.partition}/${obituary.offset} of ${toUtc(new Date(obituary.timestamp))}`,
          ],
        ] satisfies [string, string][])
      : ([['reason', 'no service put it there: it has no dlq headers']] satisfies [string, string][])),
    ['key', record.key?.toString('utf8') ?? 'none'],
    ...record.headers
      .filter((h) => !h.name.startsWith('dlq.'))
      .map((h): [string, string] => ['header', `${h.name}: ${h.value?.toString('utf8') ?? 'null'}`]),
  ]
  return facts.map(([label, text]) => `${label.padEnd(9)}${toPrintable(text)}`)
}

function toState(letter: Letter): string {
  const { decision } = letter
  if (!decision) return 'open'
  const times = decision.redrives > 1 ? `, ${decision.redrives} times` : ''
  const note = decision.note === null ? '' : `: ${decision.note}`
  return `${decision.state} ${toUtc(decision.decidedAt)}${times}${note}`
}

function toReasonWords(reason: string): string {
  const words: Readonly<Record<string, string>> = deadLetterReasons
  return words[reason] ?? 'A reason that this version does not know.'
}
