import type { ClientOptions } from '../kafka/client.ts'
import { diedAt } from '../kafka/dead-letter.ts'
import { readRange } from '../kafka/read-range.ts'
import type { GroupPosition } from './sample.ts'
import { toPlace } from './sample.ts'

/** Since when the oldest waiting record of a partition has been waiting, by {@link toPlace}; Unix ms. */
export type Ages = ReadonlyMap<string, number>

const readWithinMs = 10_000

/**
 * Reads the record at the position of each partition where something waits: its timestamp, or for a dead letter
 * (which keeps the timestamp of its original) the moment of its death. One record of each, all topics at once.
 * What cannot be read in ten seconds is left out.
 *
 * @param known ages read before; a partition that has not moved since is not read again
 */
export async function readAges(
  client: ClientOptions,
  { group, partitions }: GroupPosition,
  known: Ages = new Map(),
): Promise<Ages> {
  const ages = new Map<string, number>()
  const unread = partitions.filter((p) => {
    const age = known.get(toPlace(p))
    if (p.lag > 0 && age !== undefined) ages.set(toPlace(p), age)
    return p.lag > 0 && age === undefined
  })
  const signal = AbortSignal.timeout(readWithinMs)
  const reads = [...Map.groupBy(unread, (p) => p.topic)].map(([topic, waiting]) =>
    readRange({
      ...client,
      topic,
      group: `${group}.lag-${crypto.randomUUID()}`,
      ranges: waiting.map((p) => ({ partition: p.partition, from: p.position, to: p.end })),
      limit: 1,
      signal,
      onRecords: async (records) => {
        for (const record of records) {
          const place = waiting.find((p) => p.partition === record.partition)
          if (place) ages.set(toPlace(place), diedAt(record) ?? record.timestamp)
        }
      },
    }),
  )
  await Promise.all(reads)
  return ages
}
