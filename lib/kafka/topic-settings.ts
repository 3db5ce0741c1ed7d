import type { Topic } from '../topology.ts'
import type { TopicDescription } from './cluster-admin.ts'

const dayMs = 86_400_000
/** Kafka's largest time: no record is too old. */
const noLimitMs = '9223372036854775807'

/**
 * How a value that differs is judged: `exact` values are put right; of `least` values a larger one stays, because
 * lowering it would delete or refuse records that somebody wanted kept.
 */
type Comparison = 'exact' | 'least'

const comparisons = new Map<string, Comparison>([
  ['retention.ms', 'least'],
  ['min.compaction.lag.ms', 'least'],
])

/** Settings that a topic is created with, as Kafka names them. Every broker that kafkajs can talk to knows these. */
export function topicSettings(topic: Topic, replicas: number): Record<string, string> {
  return {
    'cleanup.policy': topic.cleanup,
    'retention.ms': topic.retentionDays === null ? '-1' : String(topic.retentionDays * dayMs),
    'retention.bytes': '-1',
    'max.message.bytes': String(topic.maxMessageBytes),
    'min.compaction.lag.ms': String(topic.minCompactionLagDays * dayMs),
    'min.insync.replicas': String(Math.max(1, replicas - 1)),
    'compression.type': 'producer',
    'message.timestamp.type': 'CreateTime',
    'unclean.leader.election.enable': 'false',
  }
}

/** Settings that only newer brokers know (Kafka 3.6); they are set where the broker lists them. */
const newerSettings: Record<string, string> = {
  'message.timestamp.before.max.ms': noLimitMs,
}

/** A setting whose value loses, changes or refuses records, or is not what was asked for. */
export interface SettingDifference {
  name: string
  actual: string
  wanted: string
  /** It keeps or takes more than was asked for: nothing is lost. */
  isMore: boolean
}

/** Where a topic's settings differ from what the topology wants. A setting that the broker does not list is left out. */
export function differencesOf(topic: Topic, found: TopicDescription): SettingDifference[] {
  const replicas = Math.min(...found.partitions.map((p) => p.replicas))
  const all = { ...topicSettings(topic, replicas), ...newerSettings }
  return Object.entries(all).flatMap(([name, wanted]): SettingDifference[] => {
    const actual = found.settings.get(name)
    if (actual === undefined || isEqual(name, actual, wanted, replicas)) return []
    const isMore = comparisons.get(name) === 'least' && atLeast(actual, wanted)
    return [{ name, actual, wanted, isMore }]
  })
}

/** Values to be set so that nothing is lost; empty where there is nothing to do. */
export function wantedSettings(topic: Topic, found: TopicDescription): Map<string, string> {
  const toSet = differencesOf(topic, found).filter((difference) => !difference.isMore)
  return new Map(toSet.map(({ name, wanted }) => [name, wanted]))
}

function isEqual(name: string, actual: string, wanted: string, replicas: number): boolean {
  // The order of cleanup policies says nothing.
  if (name === 'cleanup.policy') return sorted(actual) === sorted(wanted)
  // An operator may ask for more replicas in sync; more than there are would refuse every record.
  if (name === 'min.insync.replicas') return atLeast(actual, wanted) && Number(actual) <= replicas
  return actual === wanted
}

/** -1 stands for "without end". */
function atLeast(actual: string, wanted: string): boolean {
  return Number(actual) === -1 || (Number(wanted) !== -1 && Number(actual) >= Number(wanted))
}

function sorted(value: string): string {
  return value.split(',').sort().join(',')
}
