import type { Codec } from '../../lib/codec.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import { describe, OperatorFault } from '../fault.ts'
import type { Operator, Watch } from '../operator.ts'
import type { Letter } from './letter.ts'
import { toListed } from './letter.ts'
import type { LetterReport } from './report.ts'
import { namedLetters, readLetters } from './source.ts'
import type { ShownValue } from './value.ts'
import { toShownValue } from './value.ts'

/**
 * Reads one dead letter, its value decoded with the schema that it was written with.
 *
 * @param place `PARTITION/OFFSET` in the dead-letter topic
 * @throws OperatorFault when it does not exist
 */
export async function showLetter(operator: Operator, place: string, watch: Watch): Promise<LetterReport> {
  const broker = await operator.broker()
  const found: Letter[] = []
  await readLetters(operator, {
    ...{ ranges: await namedLetters(broker, [place]), watch },
    onLetters: async (letters) => void found.push(...letters),
  })
  const [letter] = found
  if (!letter) throw new OperatorFault(`${place} cannot be read any more`, 'The topic has just forgotten it.')
  const { record } = letter
  return {
    ...toListed(letter),
    key: record.key && { text: record.key.toString('utf8'), base64: record.key.toString('base64') },
    headers: record.headers.map((h) => ({
      name: h.name,
      text: h.value?.toString('utf8') ?? null,
      base64: h.value?.toString('base64') ?? null,
    })),
    timestamp: new Date(record.timestamp),
    value: await decodeValue(record, broker.codec),
  }
}

/** While the registry is away, the other fields are shown and the value stays undecoded. */
async function decodeValue({ bytes }: RawRecord, codec: Codec): Promise<ShownValue> {
  try {
    return toShownValue(bytes, await codec.decode(bytes))
  } catch (error) {
    const message = describe(error)
    return toShownValue(bytes, { type: 'undecodable', reason: 'unknown_schema', message })
  }
}
