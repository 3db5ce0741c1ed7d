import { expect, test } from 'vitest'
import type { TopicDescription } from '../../lib/kafka/cluster-admin.ts'
import { topicSettings } from '../../lib/kafka/topic-settings.ts'
import { topology } from '../../lib/topology.ts'
import { judgeTopic } from './topics.ts'

const wanted = topology('').recentlyPlayed
const dayMs = 86_400_000

function found(settings: Record<string, string> = {}, partition: object = {}): TopicDescription {
  return {
    topic: wanted.name,
    partitions: Array.from({ length: 12 }, (_, i) => ({
      ...{ partition: i, leader: 1, replicas: 3, inSync: 3 },
      ...(i === 4 ? partition : {}),
    })),
    settings: new Map(Object.entries({ ...topicSettings(wanted, 3), ...settings })),
  }
}
const statesOf = (description: TopicDescription | undefined) =>
  judgeTopic(wanted, description, 3).map(({ state, text }) => `${state}: ${text}`)

test('a topic as in the topology is ok', () => {
  expect(statesOf(found())).toEqual(['ok: 12 partitions, delete, kept 30 days, 3 replicas'])
})

test.each<[string, TopicDescription | undefined, string]>([
  ['missing', undefined, 'fail: it is missing'],
  [
    'a shorter retention loses records',
    found({ 'retention.ms': String(7 * dayMs) }),
    'fail: retention.ms is 7 days in place of 30 days',
  ],
  [
    'a longer one does not',
    found({ 'retention.ms': '-1' }),
    'warn: retention.ms is without end in place of 30 days',
  ],
  [
    'compaction of pages loses all but the last',
    found({ 'cleanup.policy': 'compact' }),
    'fail: cleanup.policy is compact in place of delete',
  ],
  [
    'smaller records than a page',
    found({ 'max.message.bytes': '1048588' }),
    'fail: max.message.bytes is 1048588 in place of 7340032',
  ],
  [
    'one replica will do for an acknowledgement',
    found({ 'min.insync.replicas': '1' }),
    'fail: min.insync.replicas is 1 in place of 2',
  ],
  [
    'the broker compresses again, with what consumers may not read',
    found({ 'compression.type': 'lz4' }),
    'fail: compression.type is lz4 in place of producer',
  ],
  [
    'the broker puts its own time in place of the record’s',
    found({ 'message.timestamp.type': 'LogAppendTime' }),
    'fail: message.timestamp.type is LogAppendTime in place of CreateTime',
  ],
  [
    'too few replicas',
    found({}, { replicas: 2, inSync: 2 }),
    'fail: 2 replicas in place of 3 (KAFKA_REPLICATION_FACTOR)',
  ],
  ['under-replicated', found({}, { inSync: 2 }), 'warn: partitions 4 are under-replicated'],
  [
    'below the least number in sync',
    found({}, { inSync: 1 }),
    'fail: partitions 4 take no records: fewer than 2 replicas are in sync',
  ],
  ['leaderless', found({}, { leader: -1, inSync: 0 }), 'fail: no leader for partitions 4'],
])('%s', (_title, description, expected) => {
  expect(statesOf(description)).toEqual([expected])
})

test('more replicas in sync than there are refuses every record', () => {
  expect(statesOf(found({ 'min.insync.replicas': '4' }))).toContain(
    'fail: min.insync.replicas is 4 in place of 2',
  )
})

test('the order of cleanup policies says nothing', () => {
  const { metadataWanted } = topology('')
  const settings = { ...topicSettings(metadataWanted, 1), 'cleanup.policy': 'delete,compact' }
  const partitions = [0, 1, 2, 3, 4, 5].map((partition) => ({
    partition,
    leader: 1,
    replicas: 1,
    inSync: 1,
  }))
  const description = {
    topic: metadataWanted.name,
    partitions,
    settings: new Map(Object.entries(settings)),
  }
  expect(judgeTopic(metadataWanted, description, 1)).toMatchObject([{ state: 'ok' }])
})
