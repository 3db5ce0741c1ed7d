import { pause } from '../backoff.ts'
import { RetriableError } from '../errors.ts'
import type { Resource } from '../scope.ts'
import type { Topic } from '../topology.ts'
import { isMissedTopic, kafkaErrorType } from './broker-error.ts'
import type { ClientOptions } from './client.ts'
import { createClient } from './client.ts'
import type { ClusterAdmin } from './cluster-admin.ts'
import { clusterAdmin } from './cluster-admin.ts'
import type { EnsuredTopics } from './ensure-topics.ts'
import { ensureTopics } from './ensure-topics.ts'
import type { GroupAdmin } from './group-admin.ts'
import { groupAdmin } from './group-admin.ts'

/** The ends of a partition's log. */
export interface PartitionEnds {
  partition: number
  /** First offset that the topic still has. */
  start: number
  /** Offset that the next record will get. */
  end: number
}

/** Where a consumer group is in one partition. */
export interface PartitionLag {
  topic: string
  partition: number
  start: number
  end: number
  /** Offset that the group will read next, or null if it never committed. */
  committed: number | null
  /** Records waiting, never negative; records that retention removed do not count. */
  lag: number
}

export interface GroupLag {
  group: string
  state: string
  members: number
  partitions: PartitionLag[]
}

export interface Admin extends Resource, GroupAdmin, ClusterAdmin {
  /** See {@link ensureTopics}. */
  ensureTopics(topics: readonly Topic[], replicationFactor: number): Promise<EnsuredTopics>
  /** Offsets of every partition, or null if the topic does not exist. */
  readEnds(topic: string): Promise<PartitionEnds[] | null>
  /** By partition, the first offset whose record is not older than this time (Unix ms), or the end if all are older. */
  readOffsetsAt(topic: string, timestamp: number): Promise<Map<number, number>>
  /** Lag of a group over its topics. */
  readGroupLag(group: string, topics: string[]): Promise<GroupLag>
}

/** Opens an admin connection. */
export async function openAdmin(options: ClientOptions): Promise<Admin> {
  const admin = createClient(options).admin()
  await admin.connect().catch((error) => {
    throw new RetriableError(`Kafka at ${options.config.brokers.join(', ')} does not answer`, {
      cause: error,
    })
  })

  async function readEnds(topic: string): Promise<PartitionEnds[] | null> {
    // kafkajs would retry for seconds if the topic did not exist.
    if (!(await admin.listTopics()).includes(topic)) return null
    const offsets = await whileLeadersMove(() => admin.fetchTopicOffsets(topic))
    return offsets
      .map(({ partition, low, high }) => ({ partition, start: Number(low), end: Number(high) }))
      .sort((a, b) => a.partition - b.partition)
  }

  return {
    ...groupAdmin(admin),
    ...clusterAdmin(admin),

    ensureTopics: (topics, replicationFactor) => ensureTopics(admin, topics, replicationFactor),

    readEnds,

    async readOffsetsAt(topic, timestamp) {
      const offsets = await whileLeadersMove(() => admin.fetchTopicOffsetsByTimestamp(topic, timestamp))
      return new Map(offsets.map((o) => [o.partition, Number(o.offset)]))
    },

    async readGroupLag(group, topics) {
      const [{ groups }, ...perTopic] = await Promise.all([
        admin.describeGroups([group]),
        ...topics.map(async (topic) => ({ topic, ends: await readEnds(topic) })),
      ])
      // Read committed offsets after the ends of the logs: then every record that counts as lag really waited at that
      // moment. Records that arrived in between count at the next reading.
      const committed = new Map<string, number>()
      const existing = perTopic.filter(({ ends }) => ends !== null).map(({ topic }) => topic)
      for (const { topic, partitions } of await admin.fetchOffsets({ groupId: group, topics: existing })) {
        for (const p of partitions) committed.set(`${topic}/${p.partition}`, Number(p.offset))
      }
      const description = groups[0]
      return {
        group,
        state: description?.state ?? 'Unknown',
        members: description?.members.length ?? 0,
        partitions: perTopic.flatMap(({ topic, ends }) =>
          (ends ?? []).map((e) => toPartitionLag(topic, e, committed.get(`${topic}/${e.partition}`))),
        ),
      }
    },

    close: () => admin.disconnect(),
  }
}

/** Lag of one partition; a committed offset below zero is kafkajs's sentinel for "none". */
export function toPartitionLag(
  topic: string,
  ends: PartitionEnds,
  committed: number | undefined,
): PartitionLag {
  const known = committed !== undefined && committed >= 0 ? committed : null
  const next = Math.max(known ?? ends.start, ends.start)
  return { topic, ...ends, committed: known, lag: Math.max(0, ends.end - next) }
}

const leaderMovesWithinMs = 5_000

/**
 * Repeats a request while leadership moves, a topic is new, or kafkajs has missed it in a refresh. kafkajs looks up
 * topic and leader each time.
 */
async function whileLeadersMove<T>(ask: () => Promise<T>): Promise<T> {
  for (const deadline = performance.now() + leaderMovesWithinMs; ; ) {
    try {
      return await ask()
    } catch (error) {
      const moves = ['NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE'].includes(kafkaErrorType(error))
      if (!(moves || isMissedTopic(error)) || performance.now() > deadline) throw error
      await pause(100)
    }
  }
}
