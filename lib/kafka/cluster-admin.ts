import type kafkajs from 'kafkajs'

export interface BrokerAddress {
  id: number
  host: string
  port: number
}

/** A topic as it is in the cluster. */
export interface TopicDescription {
  topic: string
  partitions: {
    partition: number
    /** -1 if it has none, and can be neither read nor written. */
    leader: number
    replicas: number
    inSync: number
  }[]
  /** Settings by Kafka's names, the broker's defaults included. */
  settings: Map<string, string>
}

/** What an admin connection can read about the cluster. */
export interface ClusterAdmin {
  readBrokers(): Promise<BrokerAddress[]>
  /** Leaves out topics that do not exist. */
  describeTopics(names: readonly string[]): Promise<TopicDescription[]>
  /** Settings of a broker by Kafka's names, defaults included. @throws when this principal may not ask */
  describeBroker(id: number): Promise<Map<string, string>>
}

/** Kafka's numbers of the resource types. */
const topicResource = 2
const brokerResource = 4

/** The cluster part of an admin connection. */
export function clusterAdmin(admin: kafkajs.Admin): ClusterAdmin {
  return {
    async readBrokers() {
      const { brokers } = await admin.describeCluster()
      return brokers.map(({ nodeId, host, port }) => ({ id: nodeId, host, port })).sort((a, b) => a.id - b.id)
    },

    async describeBroker(id) {
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: brokerResource, name: String(id) }],
      })
      return toSettings(resources[0]?.configEntries ?? [])
    },

    async describeTopics(names) {
      // kafkajs would retry for seconds if a topic did not exist.
      const existing = new Set(await admin.listTopics())
      const known = names.filter((name) => existing.has(name))
      if (known.length === 0) return []
      const [{ topics }, { resources }] = await Promise.all([
        admin.fetchTopicMetadata({ topics: [...known] }),
        admin.describeConfigs({
          includeSynonyms: false,
          resources: known.map((name) => ({ type: topicResource, name })),
        }),
      ])
      const settings = new Map(resources.map((r) => [r.resourceName, toSettings(r.configEntries)]))
      return topics.map(({ name, partitions }) => ({
        topic: name,
        partitions: partitions.map((p) => ({
          partition: p.partitionId,
          leader: p.leader,
          replicas: p.replicas.length,
          inSync: p.isr.length,
        })),
        settings: settings.get(name) ?? new Map(),
      }))
    },
  }
}

function toSettings(entries: readonly kafkajs.ConfigEntries[]): Map<string, string> {
  return new Map(entries.map((e) => [e.configName, e.configValue]))
}
