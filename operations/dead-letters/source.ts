import type { OffsetRange } from '../../lib/kafka/read-range.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import { OperatorFault } from '../fault.ts'
import type { Broker, Operator, Watch } from '../operator.ts'
import { withDecisions } from './decisions.ts'
import type { Letter } from './letter.ts'
import { parsePlace, toLetter } from './letter.ts'

interface ReadLetters {
  ranges: readonly OffsetRange[]
  /** Called with up to 500 letters at a time, one call after the other. */
  onLetters: (letters: Letter[]) => Promise<void>
  watch: Watch
}

/** The offsets that the dead-letter topic holds at this moment. */
export async function allLetters({ admin, topology }: Broker): Promise<OffsetRange[]> {
  const ends = await admin.readEnds(topology.deadLetters.name)
  if (!ends)
    throw new OperatorFault(`Topic ${topology.deadLetters.name} is missing`, 'Make it: npm run migrate')
  return ends.map(({ partition, start, end }) => ({ partition, from: start, to: end }))
}

/**
 * The ranges of single letters: `PARTITION/OFFSET`.
 * @throws OperatorFault when a text is not a place, or the place is outside the topic
 */
export async function namedLetters(broker: Broker, places: readonly string[]): Promise<OffsetRange[]> {
  const topic = await allLetters(broker)
  return places.map((text) => {
    const place = parsePlace(text)
    if (!place) {
      const hint = 'Places look like 0/12.'
      throw new OperatorFault(`"${text}" is not PARTITION/OFFSET`, hint, { code: 'usage' })
    }
    const range = topic.find((r) => r.partition === place.partition)
    if (!range || place.offset < range.from || place.offset >= range.to) {
      const has = topic.map((r) => `${r.partition}/${r.from} to ${r.to}`).join(', ')
      throw new OperatorFault(
        `There is no dead letter ${text}`,
        `The topic has ${has} (the end not included).`,
      )
    }
    return { partition: place.partition, from: place.offset, to: place.offset + 1 }
  })
}

/** Reads dead letters and their decisions. Several ranges may be of one partition. */
export async function readLetters(
  operator: Operator,
  { ranges, onLetters, watch: { signal, onProgress } }: ReadLetters,
): Promise<void> {
  const [sql, { client, topology }] = await Promise.all([operator.postgres(), operator.broker()])
  const topic = topology.deadLetters.name
  const total = ranges.reduce((sum, r) => sum + r.to - r.from, 0)
  let done = 0
  for (const round of toRounds(ranges)) {
    await readRange({
      ...{ ...client, topic, ranges: round, signal },
      group: `${topic}.cli-${crypto.randomUUID()}`,
      onRecords: async (records) => {
        await onLetters(await withDecisions(sql, records.map(toLetter)))
        done += records.length
        onProgress?.(done, total)
      },
    })
  }
}

/** Groups the ranges so that each round reads a partition once. */
function toRounds(ranges: readonly OffsetRange[]): OffsetRange[][] {
  const rounds: OffsetRange[][] = []
  for (const range of ranges) {
    const round = rounds.find((r) => !r.some((o) => o.partition === range.partition))
    if (round) round.push({ ...range })
    else rounds.push([{ ...range }])
  }
  return rounds
}
