import { readRange } from '../../lib/kafka/read-range.ts'
import type { Broker } from '../operator.ts'
import type { Stretch } from './journal.ts'
import { readerGroup } from './topic-source.ts'

const readWithinMs = 15_000

/** Times of the first and the last record of a stretch; null if it could not be read in time. */
export interface StretchTimes {
  firstAt: Date | null
  lastAt: Date | null
}

/** Reads the first and the last record of the rest of each stretch. */
export async function readTimes(
  broker: Broker,
  stretches: readonly Stretch[],
): Promise<(Stretch & StretchTimes)[]> {
  const timed = stretches.map((s) => ({ ...s, firstAt: null, lastAt: null }) as Stretch & StretchTimes)
  const signal = AbortSignal.timeout(readWithinMs)
  const reads = (['firstAt', 'lastAt'] as const).flatMap((end) =>
    [...Map.groupBy(timed, (s) => s.topic)].map(([topic, own]) =>
      readRange({
        ...broker.client,
        topic,
        group: readerGroup(broker),
        ranges: own.map((s) => ({
          partition: s.partition,
          from: end === 'firstAt' ? s.next : s.to - 1,
          to: s.to,
        })),
        limit: 1,
        signal,
        onRecords: async (records) => {
          for (const { partition, timestamp } of records) {
            const stretch = own.find((s) => s.partition === partition)
            if (stretch) stretch[end] = new Date(timestamp)
          }
        },
      }),
    ),
  )
  await Promise.all(reads)
  return timed
}
