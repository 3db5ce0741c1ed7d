import type { Command } from 'commander'
import { deadLetterReasons } from '../../lib/kafka/dead-letter.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toUtc } from '../../lib/words.ts'
import { toPlace } from '../../operations/dead-letters/letter.ts'
import type { LetterReport } from '../../operations/dead-letters/report.ts'
import { showLetter } from '../../operations/dead-letters/show.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { toPrintable } from '../terminal/table.ts'
import { toValueLines } from './value-lines.ts'

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
  const { operator, out } = context
  const letter = await showLetter(operator, place, { signal: context.interruption() })
  if (out.json) out.printJson(letter)
  else {
    const { deadLetters } = (await operator.broker()).topology
    out.print([...toFactLines(letter, deadLetters.name), '', ...toValueLines(letter.value)].join('\n'))
  }
  return exitCodes.stopped
}

function toFactLines(letter: LetterReport, topic: string): string[] {
  const facts = [
    ['place', `${toPlace(letter)} of ${topic}`],
    ['state', toState(letter)],
    ['died', toUtc(letter.diedAt)],
    ...toOrigin(letter.obituary),
    ['key', letter.key?.text ?? 'none'],
    ...letter.headers
      .filter(({ name }) => !name.startsWith('dlq.'))
      .map(({ name, text }) => ['header', `${name}: ${text ?? 'null'}`]),
  ]
  return facts.map(([label = '', text = '']) => `${label.padEnd(9)}${toPrintable(text)}`)
}

function toOrigin(obituary: LetterReport['obituary']): string[][] {
  if (!obituary) return [['reason', 'no service put it there: it has no dlq headers']]
  const { group, attempts, reason, message, topic, partition, offset, timestamp } = obituary
  return [
    ['group', `${group}, after ${attempts} ${attempts === 1 ? 'try' : 'tries'}`],
    ['reason', `${reason}: ${toReasonWords(reason)}`],
    ['message', message],
    ['record', `${topic} ${partition}/${offset} of ${toUtc(new Date(timestamp))}`],
  ]
}

function toState({ decision }: LetterReport): string {
  if (!decision) return 'open'
  const times = decision.redrives > 1 ? `, ${decision.redrives} times` : ''
  const note = decision.note === null ? '' : `: ${decision.note}`
  return `${decision.state} ${toUtc(decision.decidedAt)}${times}${note}`
}

function toReasonWords(reason: string): string {
  const words: Readonly<Record<string, string>> = deadLetterReasons
  return words[reason] ?? 'A reason that this version does not know.'
}
