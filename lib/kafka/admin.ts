import type kafkajs from 'kafkajs'
import { RetriableError } from '../errors.ts'
import type { Resource } from '../scope.ts'
import type { Topic } from '../topology.ts'
import { isMissedTopic, isUnknownTopic, kafkaErrorType } from './broker-error.ts'
import type { ClientOptions } from './client.ts'
import { createClient } from './client.ts'
import type { ClusterAdmin } from './cluster-admin.ts'
import { clusterAdmin } from './cluster-admin.ts'
import type { GroupAdmin } from './group-admin.ts'
import { groupAdmin } from './group-admin.ts'
import { pause } from './pause.ts'

/** One partition of a topic as the broker has it. */
export interface PartitionEnds {
  partition: number
  /** First offset that the topic still has. */
  start: number
  /** Offset that the next record will get. */
  end: number
}

/** One partition as a consumer group sees it. */
export interface PartitionLag {
  topic: string
  partition: number
  start: number
  end: number
  /** Offset that the group will read next; null: it never committed. */
  committed: number | null
  /** Records waiting, never negative; what retention removed does not count. */
  lag: number
}

export interface GroupLag {
  group: string
  state: string
  members: number
  partitions: PartitionLag[]
}

export interface Admin extends Resource, GroupAdmin, ClusterAdmin {
  /**
   * Creates what is missing and brings cleanup, retention and partition counts up to date. Safe by several at once.
   * @returns names of the topics that were created
   */
  ensureTopics(topics: Topic[], replicationFactor: number): Promise<string[]>
  /** Offsets of every partition; null: the topic does not exist. */
  readEnds(topic: string): Promise<PartitionEnds[] | null>
  /** By partition the first offset whose record is not older than this time (Unix ms); its end when all are. */
  readOffsetsAt(topic: string, timestamp: number): Promise<Map<number, number>>
  /** Lag of a group over its topics. */
  readGroupLag(group: string, topics: string[]): Promise<GroupLag>
}

/** 8 MiB: a page of 2 MB uncompressed fits four times over. */
const maxMessageBytes = 8 << 20
const dayMs = 86_400_000

/** An admin connection; one for the life of the process. */
export async function openAdmin(options: ClientOptions): Promise<Admin> {
  const admin = createClient(options).admin()
  await admin.connect().catch((error) => {
    throw new RetriableError(`Kafka at ${options.config.brokers.join(', ')} does not answer`, {
      cause: error,
    })
  })

  async function readEnds(topic: string): Promise<PartitionEnds[] | null> {
    // kafkajs retries for seconds what asks for a topic that does not exist.
    if (!(await admin.listTopics()).includes(topic)) return null
    const offsets = await whileLeadersMove(() => admin.fetchTopicOffsets(topic))
    return offsets
      .map(({ partition, low, high }) => ({ partition, start: Number(low), end: Number(high) }))
      .sort((a, b) => a.partition - b.partition)
  }

  return {
    ...groupAdmin(admin),
    ...clusterAdmin(admin),

    async ensureTopics(topics, replicationFactor) {
      const existing = new Set(await admin.listTopics())
      const missing = topics.filter((t) => !existing.has(t.name))
      if (missing.length > 0) {
        await admin.createTopics({
          waitForLeaders: false,
          topics: missing.map((t) => ({
            topic: t.name,
            numPartitions: t.partitions,
            replicationFactor,
            configEntries: Object.entries(topicSettings(t, replicationFactor)).map(([name, value]) => ({
              name,
              value,
            })),
          })),
        })
        await waitForLeaders(admin, missing)
      }
      for (const topic of topics.filter((t) => existing.has(t.name)))
        await bringUpToDate(admin, topic, replicationFactor)
      return missing.map((t) => t.name)
    },

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
      // Committed offsets are read after the ends of the log were: a lag of zero is then never an illusion of
      // the order, and records that arrived in between count as waiting at the next reading.
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

/** Settings of a topic, as Kafka names them. */
export function topicSettings(topic: Topic, replicationFactor: number): Record<string, string> {
  return {
    'cleanup.policy': topic.cleanup,
    'retention.ms': topic.retentionDays === null ? '-1' : String(topic.retentionDays * dayMs),
    'max.message.bytes': String(maxMessageBytes),
    'min.insync.replicas': String(Math.max(1, replicationFactor - 1)),
  }
}

/**
 * A topic that was just created is unknown to a broker until the news has reached it; kafkajs's own waiting
 * takes that for an error.
 */
async function waitForLeaders(admin: kafkajs.Admin, topics: Topic[]): Promise<void> {
  const deadline = Date.now() + leadersWithinMs
  for (const { name } of topics) {
    while (!(await hasLeaders(admin, name))) {
      if (Date.now() > deadline) throw new RetriableError(`Topic ${name} was created, but has no leader yet`)
      await pause(100)
    }
  }
}

const leadersWithinMs = 30_000
const leaderMovesWithinMs = 5_000

/**
 * Asks again while leadership moves, or a topic has just been made, or kafkajs missed it in a refresh: it looks up
 * topic and leader anew each time.
 */
async function whileLeadersMove<T>(ask: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + leaderMovesWithinMs; ; ) {
    try {
      return await ask()
    } catch (error) {
      const moves = ['NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE'].includes(kafkaErrorType(error))
      if (!(moves || isMissedTopic(error)) || Date.now() > deadline) throw error
      await pause(100)
    }
  }
}

async function hasLeaders(admin: kafkajs.Admin, topic: string): Promise<boolean> {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const partitions = topics[0]?.partitions ?? []
    return partitions.length > 0 && partitions.every((p) => p.leader >= 0)
  } catch (error) {
    if (isUnknownTopic(error) || kafkaErrorType(error) === 'LEADER_NOT_AVAILABLE') return false
    throw error
  }
}

/** Kafka's number of the resource type "topic", and of the source "set on the topic itself". */
const topicResource = 2
const setOnTopic = 1

async function bringUpToDate(admin: kafkajs.Admin, topic: Topic, replicationFactor: number): Promise<void> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: topicResource, name: topic.name }],
  })
  const entries = resources[0]?.configEntries ?? []
  const current = new Map(entries.map((e) => [e.configName, e.configValue]))
  const wanted = topicSettings(topic, replicationFactor)
  if (Object.entries(wanted).some(([name, value]) => current.get(name) !== value)) {
    // AlterConfigs replaces all of a topic's settings: an operator's own are sent along.
    const own = entries
      .filter((e) => Number(e.configSource) === setOnTopic && !(e.configName in wanted))
      .map((e) => ({ name: e.configName, value: e.configValue }))
    const configEntries = [...own, ...Object.entries(wanted).map(([name, value]) => ({ name, value }))]
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: topicResource, name: topic.name, configEntries }],
    })
  }
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic.name] })
  if ((topics[0]?.partitions.length ?? 0) < topic.partitions) {
    await admin.createPartitions({ topicPartitions: [{ topic: topic.name, count: topic.partitions }] })
  }
}
