import type { DeadLetter, DeadLetterInfo } from '../../lib/kafka/dead-letter.ts'
import { readOrigin } from '../../lib/kafka/dead-letter.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { Broker } from '../operator.ts'
import { readerGroup } from './topic-source.ts'

/** The {@link letterKey}s of dead letters that are in their topic. */
export type KnownLetters = Set<string>

/** Two dead letters of one record for one reason count as one: an operator treats them alike. */
export function letterKey(of: {
  group: DeadLetterInfo['group']
  reason: string
  record: Pick<DeadLetter['record'], 'topic' | 'partition' | 'offset' | 'timestamp'>
}): string {
  const { topic, partition, offset, timestamp } = of.record
  return [of.group, topic, partition, offset, timestamp, of.reason].join(' ')
}

/** Reads the dead letters of a group that their topic still holds. */
export async function readKnownLetters(broker: Broker, group: string): Promise<KnownLetters> {
  const { admin, client, topology } = broker
  const { name } = topology.deadLetters
  const ends = (await admin.readEnds(name)) ?? []
  const known: KnownLetters = new Set()
  const ranges = ends.map(({ partition, start, end }) => ({ partition, from: start, to: end }))
  await readRange({
    ...client,
    topic: name,
    group: readerGroup(broker),
    ranges: ranges.filter(({ from, to }) => from < to),
    async onRecords(records) {
      for (const letter of records) {
        const obituary = readOrigin(letter)
        if (obituary?.group === group) known.add(letterKey({ ...obituary, record: obituary }))
      }
    },
  })
  return known
}
