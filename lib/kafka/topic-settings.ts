import type { Topic } from '../topology.ts'
import type { TopicDescription } from './cluster-admin.ts'

const dayMs = 86_400_000
/** Kafka's largest time: no record is too old. */
const noLimitMs = '9223372036854775807'

/**
 * How a value that differs is judged. An `exact` value is corrected. A `least` value is corrected only if it is
 * smaller: lowering a larger one would delete records that an operator wants to keep.
 */
type Comparison = 'exact' | 'least'

const comparisons = new Map<string, Comparison>([
  ['retention.ms', 'least'],
  ['min.compaction.lag.ms', 'least'],
])

/** Settings that a topic is created with, by Kafka's names. Every broker that kafkajs can talk to knows them. */
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

/** Settings that only newer brokers know (Kafka 3.6); set only if the broker lists them. */
const newerSettings: Record<string, string> = {
  'message.timestamp.before.max.ms': noLimitMs,
}

/** A setting whose value differs from what the topology wants. */
export interface SettingDifference {
  name: string
  actual: string
  wanted: string
  /** Whether the actual value keeps more than is wanted, so that nothing is lost. */
  isMore: boolean
}

/**
 * The settings of a topic that differ from what the topology wants. Leaves out settings that the broker does not
 * list.
 */
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

/** The settings to change so that nothing is lost, with their values. */
export function wantedSettings(topic: Topic, found: TopicDescription): Map<string, string> {
  const toSet = differencesOf(topic, found).filter((difference) => !difference.isMore)
  return new Map(toSet.map(({ name, wanted }) => [name, wanted]))
}

function isEqual(name: string, actual: string, wanted: string, replicas: number): boolean {
  // The order of cleanup policies does not matter.
  if (name === 'cleanup.policy') return sorted(actual) === sorted(wanted)
  // An operator may want more replicas in sync, but with more than exist every record is refused.
  if (name === 'min.insync.replicas') return atLeast(actual, wanted) && Number(actual) <= replicas
  return actual === wanted
}

/** -1 means "no limit". */
function atLeast(actual: string, wanted: string): boolean {
  return Number(actual) === -1 || (Number(wanted) !== -1 && Number(actual) >= Number(wanted))
}

function sorted(value: string): string {
  return value.split(',').sort().join(',')
}
