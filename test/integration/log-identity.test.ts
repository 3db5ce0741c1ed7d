import type kafkajs from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { createClient } from '../../lib/kafka/client.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { LogGuard } from '../../lib/kafka/log-guard.ts'
import { openLogReader } from '../../lib/kafka/log-reader.ts'
import type { MetadataRequest, OperationalEvent, Topic } from '../../lib/topology.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { refusedFetches } from '../support/refused-fetches.ts'
import { until } from '../support/until.ts'

/* Another log under the same name, with a real broker: topics are deleted and made again. */

const notLeaderForPartition = 6

let stream: Stream
let admin: kafkajs.Admin
/** Our own admin client: to kafkajs a new topic may look missing. */
let topics: Admin

beforeAll(async () => {
  stream = await createStream()
  admin = createClient({ config: stream.config, log: stream.log, name: 'test' }).admin()
  await admin.connect()
  topics = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
})
afterAll(async () => {
  await topics.close()
  await admin.disconnect()
  await stream.release()
})

/** A test's topic, group and handled ids. */
interface Case {
  topic: Topic<MetadataRequest>
  group: string
  kafka: Kafka
  ids: string[]
}

async function newCase(partitions = 1): Promise<Case> {
  const { metadataWanted } = stream.topology
  const name = `${stream.config.prefix}t-${crypto.randomUUID()}`
  const topic = { ...metadataWanted, name, partitions, cleanup: 'delete' as const }
  await make(topic)
  await fetch(`${stream.config.registryUrl}/subjects/${name}-value/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(topic.schema) }),
  })
  const { kafka } = await stream.openKafka()
  return { topic, group: `${stream.config.prefix}g-${crypto.randomUUID()}`, kafka, ids: [] }
}

const make = (topic: Topic) => topics.ensureTopics([topic], 1)

async function remove({ name }: Topic): Promise<void> {
  await admin.deleteTopics({ topics: [name] })
  await until(async () => !(await admin.listTopics()).includes(name), 'the topic is gone')
}

const publish = ({ kafka, topic }: Case, from: number, to: number) =>
  kafka.publish(
    topic,
    Array.from({ length: to - from }, (_, i) => ({
      key: 'artist:1',
      value: { kind: 'artist', id: String(from + i), requestedAt: 1 },
    })),
  )

/** Starts a consumer with its own memory, like a new process. */
async function consume({ topic, group, ids }: Case): Promise<Kafka> {
  const { kafka } = await stream.openKafka()
  await kafka.consume({
    group,
    topic,
    handler: (records) => async () => {
      ids.push(...records.map((r) => r.value.id))
      return []
    },
  })
  return kafka
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i))
const sorted = (ids: Iterable<string>) => [...ids].sort((a, b) => Number(a) - Number(b))

async function committed({ topic, group }: Case): Promise<{ offset: number; text: string | null } | null> {
  const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic.name] })
  const own = found?.partitions[0]
  return own ? { offset: Number(own.offset), text: own.metadata } : null
}

/** Commits as a member of the group, with the given metadata. */
async function commit(
  { topic, group }: Case,
  at: { offset: string; metadata: string | null },
): Promise<void> {
  const client = createClient({ config: stream.config, log: stream.log, name: 'test' })
  const member = client.consumer({ groupId: group, retry: { retries: 10 } })
  await member.connect()
  await member.subscribe({ topic: topic.name, fromBeginning: true })
  await member.run({ autoCommit: false, eachBatch: async () => undefined })
  await until(
    () =>
      member.commitOffsets([{ topic: topic.name, partition: 0, ...at }]).then(
        () => true,
        () => false,
      ),
    'the group takes the commit',
  )
  await member.disconnect()
}

/** A new log of 40 records; the group's committed offset is of the old one, which had 20. */
async function newCaseOfOldPosition(): Promise<Case> {
  const of = await newCase()
  await publish(of, 0, 20)
  const first = await consume(of)
  await untilCommitted(of, 20)
  const before = await committed(of)
  await first.close()
  await remove(of.topic)
  await make(of.topic)
  await publish(of, 20, 60)
  // Kafka forgets the commits of a deleted topic. If it does not, or if a member has read the new log from the old
  // position, the commit still has the old id.
  await commit(of, { offset: '20', metadata: before?.text ?? null })
  return of
}

const untilCommitted = (of: Case, offset: number) =>
  until(async () => (await committed(of))?.offset === offset, `${offset} is committed`, 60_000)

async function eventsOf({ group }: Case): Promise<string[]> {
  const types: string[] = []
  for (const record of await stream.readTopic(stream.topology.events.name)) {
    const decoded = await stream.codec.decode<OperationalEvent>(record.bytes)
    if (decoded.type === 'value' && decoded.value.subject === `group:${group}`) types.push(decoded.value.type)
  }
  return types
}

test('a topic has an id, which is another one when the topic is made again', async () => {
  const { topic } = await newCase()
  const reader = openLogReader({ config: stream.config, log: stream.log, name: 'test' })
  const first = await reader.readTopicIds([topic.name, 'no-such-topic'])
  expect([...first.keys()]).toEqual([topic.name])
  expect(first.get(topic.name)).toMatch(/^[\w-]{22}$/)
  expect(await reader.readTopicIds([topic.name])).toEqual(first)
  await remove(topic)
  await make(topic)
  expect((await reader.readTopicIds([topic.name])).get(topic.name)).not.toBe(first.get(topic.name))
  await reader.close()
})

test('a topic whose id a broker does not know is asked for again, not taken for one of an old broker', async () => {
  const { topic } = await newCase()
  const reader = openLogReader({ config: stream.config, log: stream.log, name: 'test' })
  await expect(reader.readTopicIds([topic.name, 'no-such-topic'], true)).rejects.toThrow('no-such-topic')
  expect((await reader.readTopicIds([topic.name], true)).size).toBe(1)
  await reader.close()
})

test('a look at a log that a moved leader refuses is repeated', async () => {
  const of = await newCase()
  await publish(of, 0, 3)
  const reader = openLogReader({ config: stream.config, log: stream.log, name: 'test' })
  const moved = refusedFetches(of.topic.name, { code: notLeaderForPartition, times: 1 })
  try {
    expect(await reader.readRecord(of.topic.name, 0, 1)).not.toBeNull()
    expect(moved.refused()).toBe(1)
  } finally {
    moved.restore()
    await reader.close()
  }
})

test('a commit says the topic by its id, and the record that it follows', async () => {
  const of = await newCase()
  await publish(of, 0, 3)
  const consumer = await consume(of)
  await untilCommitted(of, 3)
  expect(JSON.parse((await committed(of))?.text ?? '')).toEqual({
    topicId: expect.stringMatching(/^[\w-]{22}$/),
    timestamp: expect.any(Number),
    checksum: expect.any(Number),
  })
  await consumer.close()
})

test('a topic that is deleted and made again under a running consumer is read from its start, with one event', {
  timeout: 120_000,
}, async () => {
  const of = await newCase()
  await publish(of, 0, 20)
  await consume(of)
  await untilCommitted(of, 20)
  await remove(of.topic)
  await make(of.topic)
  await publish(of, 20, 60)
  await until(() => new Set(of.ids).size === 60, 'all are handed over', 60_000)
  await untilCommitted(of, 40)
  expect(sorted(new Set(of.ids))).toEqual(range(0, 60))
  await until(async () => (await eventsOf(of)).length > 0, 'the event is there')
  expect(await eventsOf(of)).toEqual(['log_replaced'])
})

test('a new log that is already longer than the position is known by the id of its topic, once', {
  timeout: 120_000,
}, async () => {
  const of = await newCaseOfOldPosition()
  const second = await consume(of)
  await untilCommitted(of, 40)
  await second.close()
  await consume(of)
  await publish(of, 60, 70)
  await untilCommitted(of, 50)
  expect(sorted(of.ids)).toEqual(range(0, 70))
  await until(async () => (await eventsOf(of)).length > 0, 'the event is there')
  expect(await eventsOf(of)).toEqual(['log_replaced'])
})

test('a position is taken back once, also when nothing of the new log can be handled', {
  timeout: 120_000,
}, async () => {
  const of = await newCaseOfOldPosition()
  for (const _restart of [1, 2]) {
    const { kafka } = await stream.openKafka()
    let tries = 0
    const handler = () => async () => {
      tries++
      throw new Error('Postgres is away')
    }
    await kafka.consume({ group: of.group, topic: of.topic, handler })
    await until(() => tries > 0, 'it has records')
    expect((await committed(of))?.offset).toBe(0)
    await kafka.close()
  }
  expect(await eventsOf(of)).toEqual(['log_replaced'])
})

test('logs that were looked at are known to be replaced when their topic is made again, not while it is gone', async () => {
  const of = await newCase()
  const guard = new LogGuard(of.group, { config: stream.config, log: stream.log, name: 'test' })
  const { logs } = await guard.check({ [of.topic.name]: [0] })
  expect(await guard.isReplaced(logs)).toBe(false)
  await remove(of.topic)
  expect(await guard.isReplaced(logs)).toBe(false)
  await make(of.topic)
  expect(await guard.isReplaced(logs)).toBe(true)
  await guard.close()
})

test('two members of a group each take their partitions back, and hand over every record of the new log', {
  timeout: 120_000,
}, async () => {
  const of = await newCase(2)
  const publishTo = (from: number, to: number) =>
    of.kafka.publish(
      of.topic,
      range(from, to).map((id) => ({
        key: `artist:${id}`,
        value: { kind: 'artist', id, requestedAt: 1 },
      })),
    )
  await publishTo(0, 40)
  await consume(of)
  await consume(of)
  await until(() => new Set(of.ids).size === 40, 'all are handed over', 60_000)
  await remove(of.topic)
  await make(of.topic)
  await publishTo(40, 140)
  await until(() => new Set(of.ids).size === 140, 'all of the new log are handed over', 60_000)
})

test('a restart goes on where it was, also when the record before is gone, or nothing says what it was', {
  timeout: 120_000,
}, async () => {
  const of = await newCase()
  await publish(of, 0, 20)
  const first = await consume(of)
  await untilCommitted(of, 20)
  await first.close()
  await admin.deleteTopicRecords({ topic: of.topic.name, partitions: [{ partition: 0, offset: '20' }] })
  await publish(of, 20, 30)
  const second = await consume(of)
  await untilCommitted(of, 30)
  await second.close()
  await commit(of, { offset: '25', metadata: null })
  await consume(of)
  await untilCommitted(of, 30)
  expect(of.ids).toEqual([...range(0, 30), ...range(25, 30)])
  expect(await eventsOf(of)).toEqual([])
})

test('a position that the topic has forgotten goes on at the earliest record, with one event', {
  timeout: 120_000,
}, async () => {
  const of = await newCase()
  await publish(of, 0, 20)
  const first = await consume(of)
  await untilCommitted(of, 20)
  await first.close()
  await publish(of, 20, 40)
  await admin.deleteTopicRecords({ topic: of.topic.name, partitions: [{ partition: 0, offset: '30' }] })
  await consume(of)
  await untilCommitted(of, 40)
  expect(of.ids).toEqual([...range(0, 20), ...range(30, 40)])
  await until(async () => (await eventsOf(of)).length > 0, 'the event is there')
  expect(await eventsOf(of)).toEqual(['offset_out_of_range'])
})
