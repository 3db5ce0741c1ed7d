import type kafkajs from 'kafkajs'
import { pause } from '../backoff.ts'
import { RetriableError } from '../errors.ts'
import type { Topic } from '../topology.ts'
import { isUnknownTopic, kafkaErrorType } from './broker-error.ts'
import type { TopicDescription } from './cluster-admin.ts'
import { clusterAdmin } from './cluster-admin.ts'
import { topicSettings, wantedSettings } from './topic-settings.ts'

/** What {@link ensureTopics} did. */
export interface EnsuredTopics {
  /** Names of the topics that were created. */
  created: string[]
  /** Changes to topics that existed, e.g. `spotify.metadata: retention.ms 1000 → -1`. */
  changed: string[]
  /** Differences that cannot be changed here, each as a sentence with the remedy. */
  differing: string[]
}

/** Kafka's numbers for the resource type "topic" and for the source "set on the topic itself". */
const topicResource = 2
const setOnTopic = 1
const leadersWithinMs = 30_000

/**
 * Creates the topics that are missing, and updates settings and partition counts of the others. Other settings that an
 * operator has set stay. Several processes may run it at once: what another one does meanwhile counts as done.
 *
 * @param replicationFactor of topics that are created; existing ones keep their replicas
 */
export async function ensureTopics(
  admin: kafkajs.Admin,
  topics: readonly Topic[],
  replicationFactor: number,
): Promise<EnsuredTopics> {
  const existing = new Set(await admin.listTopics())
  const missing = topics.filter((t) => !existing.has(t.name))
  if (missing.length > 0) await create(admin, missing, replicationFactor)
  const changed: string[] = []
  const differing: string[] = []
  // Also for topics just created: settings that only newer brokers know are left out at creation.
  for (const topic of topics) {
    const [found] = await clusterAdmin(admin).describeTopics([topic.name])
    if (!found) throw new RetriableError(`Topic ${topic.name} is not there yet`)
    const changes = await bringUpToDate(admin, topic, found)
    if (existing.has(topic.name)) changed.push(...changes.map((change) => `${topic.name}: ${change}`))
    const replicas = leastReplicas(found)
    if (replicas !== replicationFactor)
      differing.push(
        `${topic.name} has ${replicas} replicas and KAFKA_REPLICATION_FACTOR is ${replicationFactor}: kafka-reassign-partitions changes the replicas of a topic`,
      )
  }
  return { created: missing.map((t) => t.name), changed, differing }
}

/** The replica count of the partition with the fewest. */
export function leastReplicas({ partitions }: TopicDescription): number {
  return Math.min(...partitions.map((p) => p.replicas))
}

async function create(admin: kafkajs.Admin, topics: Topic[], replicationFactor: number): Promise<void> {
  await admin.createTopics({
    waitForLeaders: false,
    topics: topics.map((t) => ({
      topic: t.name,
      numPartitions: t.partitions,
      replicationFactor,
      configEntries: toEntries(topicSettings(t, replicationFactor)),
    })),
  })
  await waitForLeaders(admin, topics)
}

/**
 * Brokers learn of a new topic after a moment. kafkajs's own `waitForLeaders` takes "unknown topic" for an error in
 * that time.
 */
async function waitForLeaders(admin: kafkajs.Admin, topics: Topic[]): Promise<void> {
  const begunAt = performance.now()
  for (const { name } of topics) {
    while (!(await hasLeaders(admin, name))) {
      if (performance.now() - begunAt > leadersWithinMs)
        throw new RetriableError(`Topic ${name} was created, but has no leader yet`)
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

/** @returns each change as a text */
async function bringUpToDate(admin: kafkajs.Admin, topic: Topic, found: TopicDescription): Promise<string[]> {
  const changes: string[] = []
  const wanted = wantedSettings(topic, found)
  if (wanted.size > 0) {
    await alterSettings(admin, topic.name, Object.fromEntries(wanted))
    for (const [name, value] of wanted)
      changes.push(`${name} ${found.settings.get(name) ?? 'unset'} → ${value}`)
  }
  if (found.partitions.length < topic.partitions) {
    await addPartitions(admin, topic)
    changes.push(`partitions ${found.partitions.length} → ${topic.partitions}`)
  }
  return changes
}

/** AlterConfigs replaces all of a topic's settings, so the request repeats those that are already set on it. */
async function alterSettings(
  admin: kafkajs.Admin,
  name: string,
  wanted: Record<string, string>,
): Promise<void> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: topicResource, name }],
  })
  const own = (resources[0]?.configEntries ?? [])
    .filter((e) => Number(e.configSource) === setOnTopic && !(e.configName in wanted))
    .map((e) => ({ name: e.configName, value: e.configValue }))
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: topicResource, name, configEntries: [...own, ...toEntries(wanted)] }],
  })
}

/** Ignores the error if another process has added the partitions meanwhile. */
async function addPartitions(admin: kafkajs.Admin, topic: Topic): Promise<void> {
  try {
    await admin.createPartitions({ topicPartitions: [{ topic: topic.name, count: topic.partitions }] })
  } catch (error) {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic.name] })
    if ((topics[0]?.partitions.length ?? 0) < topic.partitions) throw error
  }
}

function toEntries(settings: Record<string, string>): { name: string; value: string }[] {
  return Object.entries(settings).map(([name, value]) => ({ name, value }))
}
