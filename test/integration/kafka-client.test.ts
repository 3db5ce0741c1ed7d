import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isRecordFault, serverOf } from '../../lib/errors.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { createClient } from '../../lib/kafka/client.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { Topic } from '../../lib/topology.ts'
import { allTopics } from '../../lib/topology.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { until } from '../support/until.ts'

let stream: Stream
let admin: Admin
let bytesTopic: Topic<Buffer>

beforeAll(async () => {
  stream = await createStream()
  admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  bytesTopic = { ...stream.topology.deadLetters, name: `${stream.config.prefix}bytes`, partitions: 12 }
  await admin.ensureTopics([bytesTopic], 1)
})
afterAll(async () => {
  await admin.close()
  await stream.release()
})

describe('the client', () => {
  test('an idle connection arms no timer: kafkajs prints no TimeoutNegativeWarning', async () => {
    const warnings: string[] = []
    const onWarning = (w: Error) => warnings.push(w.name)
    process.on('warning', onWarning)
    const checks = countChecks()
    const { kafka } = await stream.openKafka()
    await kafka.publishBytes(bytesTopic.name, [{ key: 'a', value: Buffer.from('a') }])
    const before = checks.count()
    // Without the patch a 1 ms timer would fire many times in this time.
    await new Promise((resolve) => setTimeout(resolve, 100))
    checks.restore()
    process.off('warning', onWarning)
    expect(checks.count() - before).toBeLessThan(5)
    expect(warnings).not.toContain('TimeoutNegativeWarning')
  })

  test('a reader does not wait for what retention has removed meanwhile', async () => {
    const topic = `${stream.config.prefix}forgotten`
    await admin.ensureTopics([{ ...bytesTopic, name: topic, partitions: 2 }], 1)
    const { kafka } = await stream.openKafka()
    const records = ['a', 'b', 'c'].map((text) => ({ key: 'k', value: Buffer.from(text) }))
    await kafka.publishBytes(topic, records)
    const ends = (await admin.readEnds(topic)) ?? []
    const full = ends.find((e) => e.end === 3)
    const raw = createClient({ config: stream.config, log: stream.log, name: 'test' }).admin()
    await raw.connect()
    // Loads the topic's metadata, which the next call needs and does not load.
    await raw.fetchTopicOffsets(topic)
    await raw.deleteTopicRecords({ topic, partitions: [{ partition: full?.partition ?? 0, offset: '3' }] })
    await raw.disconnect()
    let read = 0
    await readRange({
      ...{ config: stream.config, log: stream.log, name: 'test', topic, group: `${topic}-reader` },
      ranges: ends.map(({ partition, end }) => ({ partition, from: 0, to: end })),
      onRecords: async (some) => {
        read += some.length
      },
    })
    expect(read).toBe(0)
  })

  test('a topic that kafkajs missed in a refresh begun before it was added is asked for again', async () => {
    const topic = bytesTopic.name
    const fresh = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
    const pool: { prototype: { refreshMetadata(topics: string[]): Promise<void> } } = createRequire(
      import.meta.url,
    )('kafkajs/src/cluster/brokerPool.js')
    const refresh = pool.prototype.refreshMetadata
    const other = stream.topology.recentlyPlayed.name
    let missed = 0
    // Like a caller that twice joins a refresh which began without its topic.
    pool.prototype.refreshMetadata = function begunEarlier(topics) {
      return refresh.call(this, topics.includes(topic) && missed++ < 2 ? [other] : topics)
    }
    try {
      expect(await fresh.readEnds(topic)).toHaveLength(bytesTopic.partitions)
      expect(missed).toBeGreaterThan(2)
    } finally {
      pool.prototype.refreshMetadata = refresh
      await fresh.close()
    }
  })

  test("keys land on the partition that Java's client chooses", async () => {
    // murmur2 of each key, from the tests of Apache Kafka's own Utils class
    const hashes: [string, number][] = [
      ['21', -973932308],
      ['foobar', -790332482],
      ['a-little-bit-long-string', -985981536],
      ['a-little-bit-longer-string', -1486304829],
      ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
      ['abc', 479470107],
    ]
    const { kafka } = await stream.openKafka()
    await kafka.publishBytes(
      bytesTopic.name,
      hashes.map(([key]) => ({ key, value: Buffer.from('murmur2') })),
    )
    const records = await stream.readTopic(bytesTopic.name)
    for (const [key, hash] of hashes) {
      const record = records.find((r) => String(r.key) === key)
      expect([key, record?.partition]).toEqual([key, (hash & 0x7fffffff) % 12])
    }
  })

  test('a record that the broker refuses costs none of those published with it', async () => {
    const { kafka } = await stream.openKafka()
    const small = () => ({ key: 'same', value: Buffer.from('small') })
    // Random bytes do not compress: this record exceeds the topic's max.message.bytes.
    const large = { key: 'same', value: randomBytes(1 << 20) }
    const huge = { key: 'same', value: randomBytes(9 << 20) }
    const outcomes = await Promise.allSettled([
      kafka.publishBytes(bytesTopic.name, [small()]),
      kafka.publishBytes(bytesTopic.name, [huge]),
      kafka.publishBytes(bytesTopic.name, [large]),
      kafka.publishBytes(bytesTopic.name, [small()]),
    ])
    expect(outcomes.map((o) => o.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
  })

  test('a record from more than an hour ahead is an outage that names the clock, and harms no neighbour', async () => {
    const { kafka } = await stream.openKafka()
    const value = Buffer.from('x')
    const ahead = { key: 'same', value, timestamp: Date.now() + 2 * 3_600_000 }
    const refused = await kafka.publishBytes(bytesTopic.name, [ahead]).catch((error: unknown) => error)
    expect(refused).toMatchObject({ name: 'RetriableError', message: expect.stringContaining('clock') })
    expect(isRecordFault(refused)).toBe(false)
    expect(serverOf(refused)?.name).toBe('kafka')
    await kafka.publishBytes(bytesTopic.name, [{ key: 'same', value }])
  })

  test('the dead letter of the largest record that a topic takes fits into the topic of dead letters', async () => {
    const { kafka } = await stream.openKafka()
    const { recentlyPlayed } = stream.topology
    // Random bytes do not compress, and the batch needs some room around them.
    await kafka.publishBytes(recentlyPlayed.name, [{ key: '7', value: randomBytes((7 << 20) - 4_096) }])
    const group = `${stream.config.prefix}large`
    await kafka.consume({ group, topic: recentlyPlayed, handler: () => async () => [] })
    const letters = await until(async () => {
      const found = await stream.readTopic(stream.topology.deadLetters.name)
      return found.length > 0 ? found : null
    }, 'the dead letter is there')
    expect(letters[0]?.bytes?.length).toBe((7 << 20) - 4_096)
  })

  test('a group whose next record was forgotten by the topic goes on at the earliest one, and says so', async () => {
    const t = { ...bytesTopic, name: `${stream.config.prefix}forgetful`, partitions: 1 }
    await admin.ensureTopics([t], 1)
    const group = `${stream.config.prefix}late`
    const { kafka } = await stream.openKafka()
    const publish = (n: number) =>
      kafka.publishBytes(
        t.name,
        Array.from({ length: n }, (_, i) => ({ key: 'k', value: Buffer.from(String(i)) })),
      )
    await publish(10)
    const raw = createClient({ config: stream.config, log: stream.log, name: 'test' }).admin()
    await raw.connect()
    await raw.setOffsets({ groupId: group, topic: t.name, partitions: [{ partition: 0, offset: '2' }] })
    await raw.deleteTopicRecords({ topic: t.name, partitions: [{ partition: 0, offset: '5' }] })
    await raw.disconnect()
    const offsets: number[] = []
    await kafka.consume({
      group,
      topic: t,
      handler: (records) => async () => {
        offsets.push(...records.map((r) => r.offset))
        return []
      },
    })
    await until(() => offsets.length >= 5, 'the rest is consumed')
    expect(offsets).toEqual([5, 6, 7, 8, 9])
    await until(
      async () => (await stream.readTopic(stream.topology.events.name)).length > 0,
      'the event is there',
    )
  })
})

describe('the topics', () => {
  test('are created as the topology says, again and again without a change', async () => {
    const raw = createClient({ config: stream.config, log: stream.log, name: 'test' }).admin()
    await raw.connect()
    for (const topic of allTopics(stream.topology)) {
      const { topics } = await raw.fetchTopicMetadata({ topics: [topic.name] })
      expect(topics[0]?.partitions).toHaveLength(topic.partitions)
      const { resources } = await raw.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: 2, name: topic.name }],
      })
      const settings = Object.fromEntries(
        (resources[0]?.configEntries ?? []).map((e) => [e.configName, e.configValue]),
      )
      expect(settings['cleanup.policy']).toBe(topic.cleanup)
      expect(settings['retention.ms']).toBe(
        topic.retentionDays === null ? '-1' : String(topic.retentionDays * 86_400_000),
      )
    }
    expect(await admin.ensureTopics(allTopics(stream.topology), 1)).toEqual({
      created: [],
      changed: [],
      differing: [],
    })
    await raw.disconnect()
  })

  test('a setting that drifted is put right, and the operator’s own settings stay', async () => {
    const t = { ...bytesTopic, name: `${stream.config.prefix}drifted`, partitions: 1 }
    await admin.ensureTopics([t], 1)
    const raw = createClient({ config: stream.config, log: stream.log, name: 'test' }).admin()
    await raw.connect()
    const drift = [
      { name: 'retention.ms', value: '1000' },
      { name: 'segment.bytes', value: '1048576' },
    ]
    await raw.alterConfigs({
      validateOnly: false,
      resources: [{ type: 2, name: t.name, configEntries: drift }],
    })
    await admin.ensureTopics([t], 1)
    const read = async () => {
      const { resources } = await raw.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: 2, name: t.name }],
      })
      return Object.fromEntries((resources[0]?.configEntries ?? []).map((e) => [e.configName, e.configValue]))
    }
    const settings = await until(async () => {
      const now = await read()
      return now['retention.ms'] !== '1000' ? now : null
    }, 'the setting is put right')
    expect(settings).toMatchObject({ 'retention.ms': String(90 * 86_400_000), 'segment.bytes': '1048576' })
    await raw.disconnect()
  })
})

describe('lag', () => {
  test('counts what waits, per partition, and knows a group that never committed', async () => {
    const t = { ...bytesTopic, name: `${stream.config.prefix}lagging`, partitions: 1 }
    await admin.ensureTopics([t], 1)
    const { kafka } = await stream.openKafka()
    await kafka.publishBytes(
      t.name,
      Array.from({ length: 7 }, () => ({ key: 'k', value: Buffer.from('x') })),
    )
    const group = `${stream.config.prefix}lag-group`
    expect((await admin.readGroupLag(group, [t.name])).partitions).toEqual([
      { topic: t.name, partition: 0, start: 0, end: 7, committed: null, lag: 7 },
    ])
    const consumer = await stream.openKafka('lag')
    await consumer.kafka.consume({ group, topic: t, handler: () => async () => [] })
    await until(
      async () => (await admin.readGroupLag(group, [t.name])).partitions[0]?.lag === 0,
      'the lag is gone',
    )
    expect((await admin.readGroupLag(group, [t.name])).members).toBe(1)
  })
})

/** Counts how often kafkajs looks through its request queues. */
function countChecks() {
  let checks = 0
  const { prototype } = requestQueue()
  const original = prototype.checkPendingRequests
  prototype.checkPendingRequests = function counted() {
    checks++
    return original.call(this)
  }
  const restore = () => {
    prototype.checkPendingRequests = original
  }
  return { restore, count: () => checks }
}

function requestQueue(): { prototype: { checkPendingRequests(): void } } {
  return createRequire(import.meta.url)('kafkajs/src/network/requestQueue/index.js')
}
