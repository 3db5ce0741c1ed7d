import type { TopicDescription } from '../../lib/kafka/cluster-admin.ts'
import { differencesOf } from '../../lib/kafka/topic-settings.ts'
import type { Topic } from '../../lib/topology.ts'
import { toPlural } from '../../lib/words.ts'
import type { Finding } from './report.ts'

const dayMs = 86_400_000
const migrate = 'npm run migrate brings it back; safe at any time.'
const keeps = 'Nothing is lost by it. It stays until you change it: kafka-configs --alter.'

/**
 * Compares a topic with the topology. A difference that loses or refuses records fails; a harmless one, such as longer
 * retention or a missing in-sync replica, warns.
 *
 * @param found undefined if the topic does not exist
 * @returns one `ok` if there are no faults
 */
export function judgeTopic(
  wanted: Topic,
  found: TopicDescription | undefined,
  replicationFactor: number,
): Finding[] {
  const subject = `topic ${wanted.name}`
  if (!found) return [{ state: 'fail', subject, text: 'it is missing', hint: 'npm run migrate creates it.' }]
  const faults = [
    ...ofPartitionCount(wanted, found),
    ...ofSettings(wanted, found),
    ...ofReplicas(found, replicationFactor),
    ...ofHealth(found),
  ].map((fault) => ({ ...fault, subject }))
  if (faults.length > 0) return faults
  const replicas = Math.min(...found.partitions.map((p) => p.replicas))
  const text = `${toPlural(found.partitions.length, 'partition')}, ${wanted.cleanup}, ${toDays(found)}, ${toPlural(replicas, 'replica')}`
  return [{ state: 'ok', subject, text, hint: null }]
}

type Fault = Omit<Finding, 'subject'>

function ofPartitionCount(wanted: Topic, { partitions }: TopicDescription): Fault[] {
  if (partitions.length >= wanted.partitions) return []
  const text = `${toPlural(partitions.length, 'partition')} in place of ${wanted.partitions}`
  return [{ state: 'fail', text, hint: migrate }]
}

function ofSettings(wanted: Topic, found: TopicDescription): Fault[] {
  return differencesOf(wanted, found).map(({ name, actual, wanted: value, isMore }): Fault => {
    const text = `${name} is ${inWords(name, actual)} in place of ${inWords(name, value)}`
    return isMore ? { state: 'warn', text, hint: keeps } : { state: 'fail', text, hint: migrate }
  })
}

function ofReplicas({ partitions }: TopicDescription, replicationFactor: number): Fault[] {
  const least = Math.min(...partitions.map((p) => p.replicas))
  if (least >= replicationFactor) return []
  return [
    {
      state: 'fail',
      text: `${toPlural(least, 'replica')} in place of ${replicationFactor} (KAFKA_REPLICATION_FACTOR)`,
      hint: 'Add replicas: kafka-reassign-partitions --execute. npm run migrate cannot.',
    },
  ]
}

function ofHealth({ partitions, settings }: TopicDescription): Fault[] {
  const list = (some: TopicDescription['partitions']) => some.map((p) => p.partition).join(', ')
  const least = Number(settings.get('min.insync.replicas') ?? 1)
  const leaderless = partitions.filter((p) => p.leader < 0)
  const led = partitions.filter((p) => p.leader >= 0)
  const closed = led.filter((p) => p.inSync < least)
  const thin = led.filter((p) => p.inSync >= least && p.inSync < p.replicas)
  const hint = 'Is a broker down? It catches up by itself once all are up.'
  const faults: Fault[] = []
  if (leaderless.length > 0) {
    faults.push({ state: 'fail', text: `no leader for partitions ${list(leaderless)}`, hint })
  }
  if (closed.length > 0) {
    const text = `partitions ${list(closed)} take no records: fewer than ${least} replicas are in sync`
    faults.push({ state: 'fail', text, hint })
  }
  if (thin.length > 0) {
    faults.push({ state: 'warn', text: `partitions ${list(thin)} are under-replicated`, hint })
  }
  return faults
}

function toDays({ settings }: TopicDescription): string {
  return `kept ${inWords('retention.ms', settings.get('retention.ms') ?? '-1')}`
}

function inWords(name: string, value: string): string {
  if (name !== 'retention.ms') return value
  if (value === '-1') return 'without end'
  const days = Number(value) / dayMs
  return days >= 1 ? toPlural(Math.floor(days * 10) / 10, 'day') : `${value} ms`
}
