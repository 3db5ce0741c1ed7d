import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import type kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient } from '../../lib/kafka/client.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { Header } from '../../lib/kafka/record.ts'
import type { Topic } from '../../lib/topology.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { until, untilBack } from '../support/until.ts'

let stream: Stream
let admin: kafkajs.Admin

beforeAll(async () => {
  stream = await createStream()
  admin = createClient({ config: stream.config, log: stream.log, name: 'test' }).admin()
  await admin.connect()
})
afterAll(async () => {
  await admin.disconnect()
  await stream.release()
})

/** Makes a topic of bytes with settings that our topics do not have. */
async function makeTopic(
  name: string,
  { partitions = 1, settings = {} }: { partitions?: number; settings?: Record<string, string> },
): Promise<Topic<Buffer>> {
  const topic = { ...stream.topology.deadLetters, name: stream.config.prefix + name, partitions }
  const configEntries = Object.entries(settings).map(([key, value]) => ({ name: key, value }))
  await admin.createTopics({
    topics: [{ topic: topic.name, numPartitions: partitions, configEntries }],
    waitForLeaders: false,
  })
  await untilBack(
    async () => (await admin.fetchTopicMetadata({ topics: [topic.name] })).topics[0]?.partitions.length,
    `${topic.name} has its partitions`,
  )
  return topic
}

/** Consumes a topic from its beginning until the values are those expected. */
async function expectConsumed(kafka: Kafka, topic: Topic<Buffer>, expected: string[]): Promise<void> {
  const values: string[] = []
  await kafka.consume({
    group: `${topic.name}-group`,
    topic,
    handler: (records) => async () => {
      values.push(...records.map((r) => String(r.bytes)))
      return []
    },
  })
  await until(() => values.length >= expected.length, 'all records are handled')
  expect(values).toEqual(expected)
}

describe('records that others wrote', () => {
  test.each(['gzip', 'snappy', 'lz4', 'zstd'])(
    'a topic that the broker compresses with %s is read',
    async (type) => {
      const topic = await makeTopic(type, { settings: { 'compression.type': type } })
      const { kafka, failures } = await stream.openKafka()
      const values = [
        ...['first', 'x'.repeat(200_000), randomBytes(60_000).toString('hex')],
        ...Array.from({ length: 200 }, (_, i) => `value ${i}`),
      ]
      await kafka.publishBytes(
        topic.name,
        values.map((value) => ({ key: 'k', value: Buffer.from(value) })),
      )
      await expectConsumed(kafka, topic, values)
      expect((await stream.readTopic(topic.name)).map((r) => String(r.bytes))).toEqual(values)
      expect(failures).toEqual([])
    },
  )

  test('headers come back as they were, in their order, and in a dead letter too', async () => {
    const topic = await makeTopic('headers', {})
    const { kafka } = await stream.openKafka()
    const headers: Header[] = [
      ['b', Buffer.from('1')],
      ['a', null],
      ['b', null],
      ['b', Buffer.alloc(0)],
      ['a', Buffer.from([0, 255])],
      ['__proto__', Buffer.from('a name like any other')],
      ['10', null],
      ['9', Buffer.from('digits keep their place')],
      ['', Buffer.from('no name')],
    ].map(([name, value]) => ({ name, value }) as Header)
    await kafka.publishBytes(topic.name, [{ key: 'k', value: Buffer.from('v'), headers }])
    const [record] = await stream.readTopic(topic.name)
    expect(record?.headers).toEqual(headers)

    await kafka.consume({
      group: `${topic.name}-group`,
      topic,
      handler: (records) => async () =>
        records.map((r) => ({ record: r, reason: 'invalid_page', message: 'as the test says' })),
    })
    const letter = await until(
      async () => (await stream.readTopic(stream.topology.deadLetters.name))[0],
      'the dead letter is there',
    )
    expect(letter.headers.slice(0, headers.length)).toEqual(headers)
  })

  test('an empty batch that the cleaner left before a large one holds up nobody', async () => {
    const topic = await makeTopic('compacted', {
      settings: {
        ...{ 'cleanup.policy': 'compact', 'segment.ms': '100', 'min.cleanable.dirty.ratio': '0.01' },
        ...{ 'delete.retention.ms': '0', 'segment.bytes': String(1 << 20) },
      },
    })
    // More than a fetch returns of one partition.
    const large = randomBytes(300_000).toString('hex')
    const { kafka: first } = await stream.openKafka()
    const { kafka: second } = await stream.openKafka()
    const publish = (by: Kafka, key: string, value: string, timestamp: number) =>
      by.publishBytes(topic.name, [{ key, value: Buffer.from(value), timestamp }])
    // The broker rolls segments by the records' time. Compaction empties the first producer's only batch.
    const start = Date.now() - 60_000
    await publish(first, 'k', 'forgotten', start)
    await publish(second, 'k', large, start + 1_000)
    await publish(second, 'l', 'last', start + 2_000)
    await publish(second, 'm', 'open segment', start + 3_000)
    const values = [large, 'last', 'open segment']
    await until(
      async () => (await recordsOf(topic.name)) === values.length,
      'the cleaner has removed the first record',
      60_000,
    )
    await expectConsumed(second, topic, values)
  }, 90_000)

  test('a reader of one partition fetches no other', async () => {
    const topic = await makeTopic('one-of-three', { partitions: 3 })
    const { kafka } = await stream.openKafka()
    const publish = (partition: number) =>
      kafka.publishBytes(
        topic.name,
        ['a', 'b', 'c'].map((text) => ({ key: null, value: Buffer.from(text), partition })),
      )
    await Promise.all([0, 1, 2].map(publish))
    const fetches = observeFetches(topic.name)
    const values: string[] = []
    await readRange({
      ...{
        config: stream.config,
        log: stream.log,
        name: 'test',
        topic: topic.name,
        group: `${topic.name}-r`,
      },
      ranges: [{ partition: 1, from: 1, to: 3 }],
      onRecords: async (records) => void values.push(...records.map((r) => String(r.bytes))),
    })
    fetches.restore()
    expect(values).toEqual(['b', 'c'])
    expect([...fetches.partitions]).toEqual([1])
  })
})

/** Number of records in a topic of one partition; offsets may have holes. */
async function recordsOf(topic: string): Promise<number> {
  return (await stream.readTopic(topic)).length
}

interface FetchRequest {
  topics: { topic: string; partitions: { partition: number }[] }[]
}

/** Records the partitions of a topic that this process fetches. */
function observeFetches(topic: string): { partitions: Set<number>; restore: () => void } {
  const { prototype }: { prototype: { fetch(request: FetchRequest): Promise<unknown> } } = createRequire(
    import.meta.url,
  )('kafkajs/src/broker/index.js')
  const { fetch } = prototype
  const partitions = new Set<number>()
  prototype.fetch = function observed(request) {
    for (const asked of request.topics) {
      if (asked.topic === topic) for (const { partition } of asked.partitions) partitions.add(partition)
    }
    return fetch.call(this, request)
  }
  return { partitions, restore: () => Object.assign(prototype, { fetch }) }
}
