import type { KafkaConfig } from '../../lib/config.ts'
import { readApiVersions, releaseOf, unsharedApis } from '../../lib/kafka/api-versions.ts'
import type { ClientOptions } from '../../lib/kafka/client.ts'
import type { BrokerAddress } from '../../lib/kafka/cluster-admin.ts'
import { findInBrokers } from '../../lib/server-settings/read.ts'
import { allTopics, groupTopics } from '../../lib/topology.ts'
import { toPlural } from '../../lib/words.ts'
import { describe } from '../fault.ts'
import type { Check, Notes } from './check.ts'
import { checkCompaction } from './compaction.ts'
import type { Finding } from './report.ts'
import { noteSettings } from './settings.ts'
import { judgeTopic } from './topics.ts'

export const brokerCheck: Check = {
  name: 'broker',
  looksAt: 'Kafka: reachable, a version that the client speaks, topics as in the topology, replicas in sync',
  withinMs: 15_000,
  hint: 'Is Kafka running, and is KAFKA_BROKERS right? For the local servers: npm run infra',
  async run(operator, notes) {
    const broker = await operator.broker()
    const { admin, client, topology } = broker
    const { config } = client
    const brokers = await admin.readBrokers()
    notes.ok('reachable', `${toPlural(brokers.length, 'broker')} at ${config.brokers.join(', ')}`)
    noteReplication(config, brokers.length, notes)
    const wanted = allTopics(topology)
    const [found, ...versions] = await Promise.all([
      admin.describeTopics(wanted.map((topic) => topic.name)),
      ...brokers.map((broker) => judgeVersions(broker, client)),
    ])
    for (const finding of versions) notes.add(finding)
    await noteSettings(notes, 'settings of the brokers', () => findInBrokers(admin))
    for (const topic of wanted) {
      const description = found.find((other) => other.topic === topic.name)
      for (const finding of judgeTopic(topic, description, config.replicationFactor)) notes.add(finding)
    }
    const archived = groupTopics(topology).get(topology.groups.archiver) ?? []
    for (const { name } of archived.filter((topic) => topic.cleanup === 'compact')) {
      const description = found.find((other) => other.topic === name)
      if (description) notes.add(await checkCompaction(broker, description))
    }
  },
}

async function judgeVersions(broker: BrokerAddress, client: ClientOptions): Promise<Finding> {
  const subject = `version of ${broker.host}:${broker.port}`
  try {
    const versions = await readApiVersions(client, broker)
    const unshared = unsharedApis(versions)
    const release = releaseOf(versions)
    const like = release === null ? 'older than Kafka 2.1' : `Kafka ${release} or newer, by what it speaks`
    if (unshared.length === 0) return { state: 'ok', subject, text: like, hint: null }
    const text = `${like}; it shares no version of ${unshared.join(', ')} with this client`
    return { state: 'fail', subject, text, hint: 'Run a release that is known to work: Kafka 2.1 to 4.3.' }
  } catch (error) {
    const hint = 'The address that the broker advertises must be reachable from here.'
    return { state: 'warn', subject, text: describe(error), hint }
  }
}

function noteReplication({ replicationFactor }: KafkaConfig, brokers: number, notes: Notes): void {
  const subject = 'KAFKA_REPLICATION_FACTOR'
  if (replicationFactor > brokers) {
    const text = `${replicationFactor}, with ${toPlural(brokers, 'broker')}`
    notes.fail(subject, text, 'Start the missing brokers, or lower it.')
  } else if (replicationFactor < Math.min(brokers, 3)) {
    const text = `${replicationFactor} with ${brokers} brokers: the loss of one can lose records`
    notes.warn(subject, text, 'Set it to 3, and add replicas to topics that exist.')
  }
}
