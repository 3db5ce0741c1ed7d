import type { Progress } from '../../cli/terminal/progress.ts'
import { toPrintable } from '../../cli/terminal/table.ts'
import type { OffsetRange } from '../../lib/kafka/read-range.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { Sql } from '../../lib/postgres.ts'
import { OperatorFault } from '../fault.ts'
import type { Broker } from '../operator.ts'
import { withDecisions } from './decisions.ts'
import type { Letter } from './letter.ts'
import { parsePlace, toLetter } from './letter.ts'

export interface ReadLetters {
  broker: Broker
  sql: Sql
  ranges: OffsetRange[]
  /** Called with up to 500 letters at a time, one call after the other. */
  onLetters: (letters: Letter[]) => Promise<void>
  progress: Progress
  signal: AbortSignal
}

/** What the dead-letter topic holds at this moment. */
export async function allLetters({ admin, topology }: Broker): Promise<OffsetRange[]> {
  const ends = await admin.readEnds(topology.deadLetters.name)
  if (!ends)
    throw new OperatorFault(`Topic ${topology.deadLetters.name} is missing`, 'Make it: npm run migrate')
  return ends.map(({ partition, start, end }) => ({ partition, from: start, to: end }))
}

/**
 * The ranges of single letters: `PARTITION/OFFSET`.
 * @throws OperatorFault for what is no place, or lies outside of the topic
 */
export async function namedLetters(broker: Broker, places: readonly string[]): Promise<OffsetRange[]> {
  const topic = await allLetters(broker)
  return places.map((text) => {
    const place = parsePlace(text)
    if (!place) {
      throw new OperatorFault(`"${toPrintable(text)}" is not PARTITION/OFFSET`, 'Places look like 0/12.', {
        code: 'usage',
      })
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

/** Reads dead letters and what was decided on each. Every range by itself: several may be of one partition. */
export async function readLetters(options: ReadLetters): Promise<void> {
  const { broker, sql, onLetters, progress, signal } = options
  for (const ranges of toRounds(options.ranges)) {
    await readRange({
      ...broker.client,
      topic: broker.topology.deadLetters.name,
      group: `${broker.topology.deadLetters.name}.cli-${crypto.randomUUID()}`,
      ranges,
      signal,
      onRecords: async (records) => {
        await onLetters(await withDecisions(sql, records.map(toLetter)))
        progress.add(records.length)
      },
    })
  }
}

/** Ranges of different partitions are read together. */
function toRounds(ranges: readonly OffsetRange[]): OffsetRange[][] {
  const rounds: OffsetRange[][] = []
  for (const range of ranges) {
    const round = rounds.find((r) => !r.some((o) => o.partition === range.partition))
    if (round) round.push({ ...range })
    else rounds.push([{ ...range }])
  }
  return rounds
}

export function countRecords(ranges: readonly OffsetRange[]): number {
  return ranges.reduce((sum, r) => sum + r.to - r.from, 0)
}
