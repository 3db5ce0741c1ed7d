import type { Command } from 'commander'
import { openCodec } from '../../lib/codec.ts'
import type { KafkaConfig } from '../../lib/config.ts'
import { deadLetterReasons } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toUtc } from '../../lib/words.ts'
import type { Letter } from '../../operations/dead-letters/letter.ts'
import { stateOf, toPlace } from '../../operations/dead-letters/letter.ts'
import { namedLetters, readLetters } from '../../operations/dead-letters/source.ts'
import type { ShownValue } from '../../operations/dead-letters/value.ts'
import { toShownValue, toValueLines } from '../../operations/dead-letters/value.ts'
import { describe, OperatorFault } from '../../operations/fault.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { toPrintable } from '../terminal/table.ts'

export function define(command: Command, run: Run): void {
  command.description(
    'Shows one dead letter, by its partition and offset in the dead-letter topic: why it died, where it came from, its key and headers, and its value, decoded with the schema that it was written with.',
  )
  act(command, run, show)
  examples(command, [
    'songswap dead-letters show 0/12',
    'songswap dead-letters show 0/12 --json | jq -r .value.body.text',
  ])
  notes(command, ['--json holds the bytes of key, value and headers in base64 as well.'])
}

async function show(context: CliContext, _options: object, place = ''): Promise<number> {
  const { out } = context
  const [sql, broker] = await Promise.all([context.operator.postgres(), context.operator.broker()])
  const found: Letter[] = []
  await readLetters({
    ...{ broker, sql, ranges: await namedLetters(broker, [place]) },
    progress: context.progress({ total: 1, unit: 'dead letters' }),
    signal: context.interruption(),
    onLetters: async (letters) => void found.push(...letters),
  })
  const [letter] = found
  if (!letter) throw new OperatorFault(`${place} cannot be read any more`, 'The topic has just forgotten it.')
  const value = await decodeValue(letter.record, broker.client.config)
  if (out.json) out.printJson(toDocument(letter, value))
  else out.print([...toFactLines(letter), '', ...toValueLines(value)].join('\n'))
  return exitCodes.stopped
}

/** A registry that is away keeps nobody from seeing the rest. */
async function decodeValue(record: RawRecord, config: KafkaConfig): Promise<ShownValue> {
  try {
    return toShownValue(record.bytes, await openCodec(config).decode(record.bytes))
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
