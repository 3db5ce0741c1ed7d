import type { Admin, PartitionLag } from '../kafka/admin.ts'
import type { ClientOptions } from '../kafka/client.ts'
import { diedAt } from '../kafka/dead-letter.ts'
import type { GroupMember } from '../kafka/group-admin.ts'
import { readRange } from '../kafka/read-range.ts'
import type { PastOffset } from './age-search.ts'
import { toLagAge, toProbe } from './age-search.ts'

export interface PartitionPosition extends PartitionLag {
  /** Offset that the group reads next: the committed one, or the first that the topic still has. */
  position: number
  /** Records that retention removed before the group read them. */
  forgotten: number
}

/** A group and its position in each partition of its topics, at one moment. */
export interface GroupPosition {
  group: string
  state: string
  members: GroupMember[]
  partitions: PartitionPosition[]
}

/** Takes one sample of a group, with a few requests for topics of any size. */
export async function readPosition(
  admin: Admin,
  group: string,
  topics: readonly string[],
): Promise<GroupPosition> {
  const [description, { partitions }] = await Promise.all([
    admin.describeGroup(group),
    admin.readGroupLag(group, [...topics]),
  ])
  return { ...description, partitions: partitions.map(toPosition) }
}

/** Adds the offset that the group reads next, and the records that it missed. */
export function toPosition(partition: PartitionLag): PartitionPosition {
  const { committed, start } = partition
  return {
    ...partition,
    position: Math.max(committed ?? start, start),
    forgotten: committed === null ? 0 : Math.max(0, start - committed),
  }
}

/** Names the position of a partition; the name changes once the group has moved. */
export function toPlace({ topic, partition, position }: PartitionPosition): string {
  return `${topic}/${partition}@${position}`
}

/** When the oldest waiting record of a partition began to wait (Unix ms), by {@link toPlace}. */
export type Ages = ReadonlyMap<string, number>

/** Options of {@link readAges}. */
export interface AgeSource {
  admin: Pick<Admin, 'readOffsetsAt'>
  /** For a reader of dead letters, or null if their ages may stay unknown. */
  client: ClientOptions | null
  /** Name of the topic of dead letters. */
  deadLetters: string
}

const readWithinMs = 10_000

/**
 * Finds since when the oldest record waits, in each partition where records wait. Searches the topic's index of
 * timestamps, which costs a few requests and reads no record. Of a dead letter it reads the header with the time of
 * death, because the letters of old versions have the timestamp of their originals. Leaves out what cannot be found
 * within ten seconds.
 *
 * @param known ages found before; a partition that has not moved since is not searched again
 */
export async function readAges(
  source: AgeSource,
  { group, partitions }: GroupPosition,
  known: Ages = new Map(),
): Promise<Ages> {
  const ages = new Map<string, number>()
  const unread = partitions.filter((p) => {
    const age = known.get(toPlace(p))
    if (p.lag > 0 && age !== undefined) ages.set(toPlace(p), age)
    return p.lag > 0 && age === undefined
  })
  const byTopic = [...Map.groupBy(unread, (p) => p.topic)]
  const found = await Promise.all(
    byTopic.map(([topic, waiting]) =>
      topic === source.deadLetters
        ? readDeaths(source, { group, topic, waiting })
        : searchAges(source, topic, waiting),
    ),
  )
  for (const [place, at] of found.flatMap((f) => [...f])) ages.set(place, at)
  return ages
}

/** One request answers for every partition of the topic. */
async function searchAges(
  { admin }: AgeSource,
  topic: string,
  waiting: readonly PartitionPosition[],
): Promise<Ages> {
  const [now, startedAt] = [Date.now(), performance.now()]
  const past = new Map<number, PastOffset[]>(waiting.map((p) => [p.partition, []]))
  const pastOf = (p: PartitionPosition) => past.get(p.partition) ?? []
  while (performance.now() - startedAt < readWithinMs) {
    const [ageMs] = waiting.flatMap((p) => toProbe(p.position, pastOf(p)) ?? [])
    if (ageMs === undefined) {
      return new Map(waiting.map((p) => [toPlace(p), now - toLagAge(p.position, pastOf(p))]))
    }
    const offsets = await admin.readOffsetsAt(topic, now - ageMs)
    for (const p of waiting) {
      // If the answer leaves a partition out, its record counts as at most that old.
      past.set(p.partition, [...pastOf(p), { ageMs, offset: offsets.get(p.partition) ?? p.position }])
    }
  }
  return new Map()
}

interface Unread {
  group: string
  topic: string
  waiting: readonly PartitionPosition[]
}

async function readDeaths({ client }: AgeSource, { group, topic, waiting }: Unread): Promise<Ages> {
  const ages = new Map<string, number>()
  if (client === null) return ages
  await readRange({
    ...client,
    topic,
    group: `${group}.lag-${crypto.randomUUID()}`,
    ranges: waiting.map((p) => ({ partition: p.partition, from: p.position, to: p.end })),
    limit: 1,
    signal: AbortSignal.timeout(readWithinMs),
    onRecords: async (records) => {
      for (const record of records) {
        const place = waiting.find((p) => p.partition === record.partition)
        if (place) ages.set(toPlace(place), diedAt(record) ?? record.timestamp)
      }
    },
  })
  return ages
}
