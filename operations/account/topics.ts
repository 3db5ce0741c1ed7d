import { readRange } from '../../lib/kafka/read-range.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Topic } from '../../lib/topology.ts'
import type { Broker, Watch } from '../operator.ts'
import type { HeldRecords, Owner } from './report.ts'

/** The place of a dead letter. */
interface DeadPlace {
  partition: number
  offset: number
}

export interface TopicFindings {
  held: HeldRecords[]
  /** Pages that the archiver had not put into objects when the archive was listed. */
  unarchived: number
  /** Dead letters of the user. */
  dead: DeadPlace[]
  /** First offset that the topic of dead letters still has, by partition. */
  deadFrom: ReadonlyMap<number, number>
}

const dayMs = 86_400_000
/**
 * Kafka removes a whole segment once its newest record is old enough; a segment takes records for at most seven days
 * (log.roll.hours).
 */
export const segmentDays = 7

/** The archiver's committed offset by partition: all pages before it are in objects. */
export async function readArchivedUpTo({ admin, topology }: Broker): Promise<ReadonlyMap<number, number>> {
  const committed = await admin.readCommitted(topology.groups.archiver)
  return new Map(
    committed.filter((o) => o.topic === topology.recentlyPlayed.name).map((o) => [o.partition, o.offset]),
  )
}

/** Reads the topics whose keys name users, without touching any group's offsets, and finds one user's records. */
export async function findInTopics(
  broker: Broker,
  owner: Owner,
  options: Watch & {
    /** As read before the archive was listed: the listing may lack what came into objects after that. */
    archivedUpTo: ReadonlyMap<number, number>
  },
): Promise<TopicFindings> {
  const { recentlyPlayed, deadLetters, events } = broker.topology
  let unarchived = 0
  const count = (record: RawRecord) => {
    if (record.offset >= (options.archivedUpTo.get(record.partition) ?? 0)) unarchived++
  }
  let read = 0
  const onRecords = (n: number) => {
    read += n
    options.onProgress?.(read, null)
  }
  const dead: DeadPlace[] = []
  const collect = (record: RawRecord) => {
    dead.push({ partition: record.partition, offset: record.offset })
  }
  const id = String(owner.id)
  const deadEnds = (await broker.admin.readEnds(deadLetters.name)) ?? []
  const { signal } = options
  const held = [
    await findInTopic(broker, recentlyPlayed, { key: id, signal, onRecords, onFound: count }),
    await findInTopic(broker, deadLetters, { key: id, signal, onRecords, onFound: collect }),
    await findInTopic(broker, events, { key: `user:${id}`, signal, onRecords }),
  ]
  const deadFrom = new Map(deadEnds.map(({ partition, start }) => [partition, start]))
  return { held, unarchived, dead, deadFrom }
}

async function findInTopic(
  broker: Broker,
  topic: Topic,
  of: {
    key: string
    signal: AbortSignal
    onRecords: (n: number) => void
    onFound?: (record: RawRecord) => void
  },
): Promise<HeldRecords> {
  const found = { records: 0, newest: null as string | null, at: 0 }
  const key = Buffer.from(of.key, 'latin1')
  const ends = (await broker.admin.readEnds(topic.name)) ?? []
  await readRange({
    ...broker.client,
    topic: topic.name,
    group: `${broker.client.config.prefix}songswap-erase-${crypto.randomUUID()}`,
    ranges: ends.map(({ partition, start, end }) => ({ partition, from: start, to: end })),
    signal: of.signal,
    onRecords: async (records) => {
      of.onRecords(records.length)
      for (const record of records.filter((r) => r.key?.equals(key))) {
        found.records++
        of.onFound?.(record)
        if (record.timestamp >= found.at) {
          found.at = record.timestamp
          found.newest = `${record.partition}/${record.offset}`
        }
      }
    },
  })
  const { retentionDays } = topic
  const until =
    found.records > 0 && retentionDays !== null
      ? new Date(found.at + (retentionDays + segmentDays) * dayMs)
      : null
  return { topic: topic.name, records: found.records, newest: found.newest, until }
}
