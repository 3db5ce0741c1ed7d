import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type kafkajs from 'kafkajs'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KafkaConfig } from '../../lib/config.ts'
import { kafkaConfig, kafkaEnv, parseEnv } from '../../lib/config.ts'
import { createClient } from '../../lib/kafka/client.ts'
import { openProducer } from '../../lib/kafka/producer.ts'
import { openLog } from '../../lib/log.ts'
import { createKafka } from '../../stack/infra/kafka.ts'
import { freePorts } from '../../stack/infra/ports.ts'
import type { Server } from '../../stack/infra/server.ts'
import { jarsDir } from '../../stack/settings.ts'
import { makeDataDir } from '../support/infra.ts'
import { readTopic } from '../support/kafka.ts'
import { until } from '../support/until.ts'

/** Three brokers of this file's own, so that leadership can move and one can be stopped. */
let brokers: Server[]
let dataDir: string
let config: KafkaConfig
let admin: kafkajs.Admin
const log = openLog('test', process.env.TEST_LOG_LEVEL ?? 'silent')

beforeAll(async () => {
  dataDir = makeDataDir()
  const ports = await freePorts(3)
  brokers = createKafka({
    ...{ dataDir, storeDir: join(dataDir, 'store'), jarsDir },
    ...{ ports: ports.kafka, controllerPorts: ports.controller },
    onCrash: (fault) => log.error(fault),
  })
  await Promise.all(brokers.map((broker) => broker.start()))
  config = kafkaConfig(
    parseEnv(kafkaEnv, {
      KAFKA_BROKERS: ports.kafka.map((port) => `127.0.0.1:${port}`).join(','),
      SCHEMA_REGISTRY_URL: 'http://127.0.0.1:9',
    }),
  )
  admin = createClient({ config, log, name: 'test' }).admin()
  await admin.connect()
})
afterAll(async () => {
  await admin.disconnect()
  await Promise.all(brokers.map((broker) => broker.stop()))
  rmSync(dataDir, { recursive: true, force: true })
})

interface Layout {
  /** Of partition 0, 1 and so on: the brokers that keep it, its leader first. */
  replicas: number[][]
  settings: Record<string, string>
}

async function makeTopic(topic: string, { replicas, settings }: Layout): Promise<void> {
  const replicaAssignment = replicas.map((ids, partition) => ({ partition, replicas: ids }))
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
  await admin.createTopics({ topics: [{ topic, replicaAssignment, configEntries }] })
  await untilKept(topic, replicas)
}

async function reassign(topic: string, partition: number, replicas: number[]): Promise<void> {
  await admin.alterPartitionReassignments({
    topics: [{ topic, partitionAssignment: [{ partition, replicas }] }],
  })
}

async function untilKept(topic: string, replicas: number[][]): Promise<void> {
  const expected = replicas.map(([leader, ...others]) => ({ leader, count: 1 + others.length }))
  await until(
    async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const partitions = topics[0]?.partitions.toSorted((a, b) => a.partitionId - b.partitionId) ?? []
      const actual = partitions.map(({ leader, isr }) => ({ leader, count: isr.length }))
      return JSON.stringify(actual) === JSON.stringify(expected)
    },
    `the replicas of ${topic} are ${JSON.stringify(replicas)}`,
  )
}

async function valuesOf(topic: string, partition: number): Promise<string[]> {
  const records = await readTopic({ config, log, name: 'reader' }, topic)
  return records.filter((r) => r.partition === partition).map((r) => String(r.bytes))
}

const toRecord = (partition: number, value: string | Buffer) => ({
  ...{ key: null, value: Buffer.from(value), partition },
})

test.each([
  [0, 1],
  [1, 0],
])(
  'a request for partition %i that has moved and is refused there doubles no record of %i',
  async (moved, stayed) => {
    const topic = `moved-${moved}`
    await makeTopic(topic, { replicas: [[1], [1]], settings: { 'max.message.bytes': '20000' } })
    const producer = await openProducer({ client: createClient({ config, log, name: 'test' }), log })
    const publish = (partition: number, value: string | Buffer) =>
      producer.publish(topic, [toRecord(partition, value)])
    // From now on the producer knows who leads.
    await publish(moved, 'first')
    await publish(stayed, 'first')

    await reassign(topic, moved, [2])
    await untilKept(topic, moved === 0 ? [[2], [1]] : [[1], [2]])
    // While the first is under way those that come wait, and go together.
    const outcomes = await Promise.allSettled([
      publish(stayed, 'second'),
      publish(stayed, 'third'),
      publish(moved, randomBytes(30_000)),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    await Promise.all([publish(moved, 'last'), publish(stayed, 'last')])
    await producer.close()
    expect(await valuesOf(topic, stayed)).toEqual(['first', 'second', 'third', 'last'])
    expect(await valuesOf(topic, moved)).toEqual(['first', 'last'])
  },
)

test('a partition that cannot be written goes alone, and its neighbours together', async () => {
  const topic = 'short-of-replicas'
  const replicas = [
    [1, 3],
    [1, 2],
    [1, 2],
  ]
  await makeTopic(topic, { replicas, settings: { 'min.insync.replicas': '2' } })
  let takenApart = 0
  const count = (line: string) => {
    if (line.includes('request_taken_apart')) takenApart++
  }
  const producer = await openProducer({
    client: createClient({ config, log, name: 'test' }),
    log: pino({ level: 'debug' }, { write: count }),
    giveUpAfterMs: 1_000,
  })
  const partitions = [0, 1, 2]
  const publishAll = async (value: string) => {
    const outcomes = await Promise.allSettled(
      partitions.map((partition) => producer.publish(topic, [toRecord(partition, value)])),
    )
    return outcomes.map(({ status }) => status)
  }
  expect(await publishAll('first')).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])

  await brokers[2]?.stop()
  for (const value of ['second', 'third', 'fourth']) {
    expect(await publishAll(value)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
  }
  expect(takenApart).toBe(1)

  await brokers[2]?.start()
  await untilKept(topic, replicas)
  expect(await publishAll('last')).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  expect(await publishAll('end')).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  await producer.close()
  for (const partition of [1, 2]) {
    expect(await valuesOf(topic, partition)).toEqual(['first', 'second', 'third', 'fourth', 'last', 'end'])
  }
  expect(await valuesOf(topic, 0)).toEqual(['first', 'last', 'end'])
})
