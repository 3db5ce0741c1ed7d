import { messageOf, RetriableError } from '../errors.ts'
import type { Resource } from '../scope.ts'
import { within } from '../time-limit.ts'
import type { ClientOptions } from './client.ts'
import { createClient } from './client.ts'
import type { FetchedMessage, KafkajsCluster } from './kafkajs-cluster.ts'
import { createCluster, readUncommitted, tellsTopicIds, topicIdsMessage } from './kafkajs-cluster.ts'
import { toRawRecord } from './kafkajs-record.ts'
import type { LogMark } from './log-mark.ts'
import { toMark } from './log-mark.ts'

/** The offset that a group committed in a partition. */
export interface CommittedOffset {
  topic: string
  partition: number
  offset: number
  /** The metadata that was committed with it. */
  text: string | null
}

/** The identity of a record in a log. */
export interface MarkedRecord {
  mark: LogMark
  /** The leader epoch that it was written in: a log that lost its tail goes on in a higher one. */
  epoch: number
}

/** Reads logs and committed offsets without joining a group. Throws a RetriableError when Kafka does not answer. */
export interface LogReader extends Resource {
  /**
   * Ids of the topics that exist; none if the brokers are older than 2.8.
   *
   * @param expectsAll whether a topic without an id is an error: the broker has not learned of it yet
   */
  readTopicIds(topics: readonly string[], expectsAll?: boolean): Promise<Map<string, string>>
  /** Offsets of a group; partitions without one are left out. */
  readCommitted(
    group: string,
    partitions: readonly { topic: string; partition: number }[],
  ): Promise<CommittedOffset[]>
  /** First and next offset of each partition. */
  readEnds(topic: string, partitions: readonly number[]): Promise<Map<number, { start: number; end: number }>>
  /** The record at an offset between start and end, or null if it is gone. */
  readRecord(topic: string, partition: number, offset: number): Promise<MarkedRecord | null>
}

/** A broker sends the first batch whole, even if it is larger. */
const fetchBytes = 1 << 16
const fetchWaitMs = 500
/** A broker that is away must not hold up a stop. */
const disconnectWithinMs = 1_000

/** Connects at the first request. */
export function openLogReader(options: ClientOptions): LogReader {
  const cluster = createCluster(createClient(options))
  let connected: Promise<void> | null = null

  async function ask<T>(topics: readonly string[], question: () => Promise<T>): Promise<T> {
    try {
      connected ??= cluster.connect()
      await connected
      await cluster.addMultipleTargetTopics([...topics])
      return await question().catch(async () => {
        // Leaders may have moved: look them up and ask once more.
        await cluster.refreshMetadata()
        return question()
      })
    } catch (cause) {
      connected = null
      await cluster.refreshMetadata().catch(() => undefined)
      throw new RetriableError(`Kafka does not say which log it has: ${messageOf(cause)}`, { cause })
    }
  }

  return {
    readTopicIds: (topics, expectsAll = false) =>
      ask([], async () => {
        const broker = await cluster.brokerPool.findConnectedBroker()
        if (!tellsTopicIds(broker)) return new Map()
        const ids = await broker.connectionPool.send(topicIdsMessage(topics))
        const missing = expectsAll ? topics.find((topic) => !ids.has(topic)) : undefined
        if (missing !== undefined) throw new Error(`a broker has no id for ${missing}`)
        return ids
      }),
    readCommitted: (group, partitions) => ask([], () => readCommitted(cluster, group, partitions)),
    readEnds: (topic, partitions) => ask([topic], () => readEnds(cluster, topic, partitions)),
    readRecord: (topic, partition, offset) =>
      ask([topic], () => readRecord(cluster, { topic, partition, offset })),
    async close() {
      await within(disconnectWithinMs, cluster.disconnect())
    },
  }
}

async function readCommitted(
  cluster: KafkajsCluster,
  groupId: string,
  wanted: readonly { topic: string; partition: number }[],
): Promise<CommittedOffset[]> {
  const coordinator = await cluster.findGroupCoordinator({ groupId })
  const topics = [...Map.groupBy(wanted, ({ topic }) => topic)].map(([topic, list]) => ({
    topic,
    partitions: list.map(({ partition }) => ({ partition })),
  }))
  const { responses } = await coordinator.offsetFetch({ groupId, topics })
  return responses.flatMap(({ topic, partitions }) =>
    partitions
      .map((p) => ({ topic, partition: p.partition, offset: Number(p.offset), text: p.metadata }))
      .filter(({ offset }) => offset >= 0),
  )
}

async function readEnds(
  cluster: KafkajsCluster,
  topic: string,
  partitions: readonly number[],
): Promise<Map<number, { start: number; end: number }>> {
  const read = async (fromBeginning: boolean) => {
    const asked = [{ topic, partitions: partitions.map((partition) => ({ partition })), fromBeginning }]
    const answers = await cluster.fetchTopicsOffset(asked)
    return new Map(answers.flatMap((a) => a.partitions).map((p) => [p.partition, Number(p.offset)]))
  }
  const [starts, ends] = await Promise.all([read(true), read(false)])
  return new Map(partitions.map((p) => [p, { start: starts.get(p) ?? 0, end: ends.get(p) ?? 0 }]))
}

async function readRecord(
  cluster: KafkajsCluster,
  at: { topic: string; partition: number; offset: number },
): Promise<MarkedRecord | null> {
  const { topic, partition, offset } = at
  const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))
  if (nodeId === undefined) throw new RetriableError(`Partition ${partition} of ${topic} has no leader`)
  const leader = await cluster.findBroker({ nodeId })
  const { responses } = await leader.fetch({
    maxWaitTime: fetchWaitMs,
    minBytes: 1,
    maxBytes: fetchBytes,
    isolationLevel: readUncommitted,
    topics: [{ topic, partitions: [{ partition, fetchOffset: String(offset), maxBytes: fetchBytes }] }],
  })
  const messages: FetchedMessage[] = responses.flatMap((r) => r.partitions.flatMap((p) => p.messages))
  const found = messages.find((message) => Number(message.offset) === offset)
  if (!found) return null
  return { mark: toMark(toRawRecord(topic, partition, found)), epoch: epochOf(found) }
}

/** The leader epoch of the batch that a record came in, or 0 if kafkajs gives none. */
export function epochOf({ batchContext }: FetchedMessage): number {
  return batchContext?.partitionLeaderEpoch ?? 0
}
