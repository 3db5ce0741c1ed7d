import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type kafkajs from 'kafkajs'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCodec } from '../../lib/codec.ts'
import type { KafkaConfig } from '../../lib/config.ts'
import { Health } from '../../lib/health.ts'
import { isUnknownTopic, kafkaErrorType } from '../../lib/kafka/broker-error.ts'
import { createClient } from '../../lib/kafka/client.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import { Producer } from '../../lib/kafka/producer.ts'
import type { PartitionSink } from '../../lib/kafka/sink.ts'
import { openLog } from '../../lib/log.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Topic } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import { createKafka } from '../../stack/infra/kafka.ts'
import { freePorts } from '../../stack/infra/ports.ts'
import type { Server } from '../../stack/infra/server.ts'
import { jarsDir } from '../../stack/settings.ts'
import type { BrokerFolder } from '../support/infra.ts'
import { makeBrokerFolder } from '../support/infra.ts'
import { readTopic } from '../support/kafka.ts'
import { kafkaAt } from '../support/kafka-at.ts'
import { until } from '../support/until.ts'

/** This file's own three brokers: leadership can move, and one can be stopped. */
let brokers: Server[]
let folder: BrokerFolder
let config: KafkaConfig
let admin: kafkajs.Admin
const log = openLog('test', process.env.TEST_LOG_LEVEL ?? 'silent')

beforeAll(async () => {
  folder = makeBrokerFolder()
  const dataDir = folder.path
  const ports = await freePorts(3)
  brokers = createKafka({
    ...{ dataDir, storeDir: join(dataDir, 'store'), jarsDir },
    ...{ ports: ports.kafka, controllerPorts: ports.controller },
    onCrash: (fault) => log.error(fault),
  })
  await Promise.all(brokers.map((broker) => broker.start()))
  config = kafkaAt(ports.kafka)
  admin = createClient({ config, log, name: 'test' }).admin()
  await admin.connect()
  // A broker answers before the controller assigns it replicas.
  await until(async () => (await admin.describeCluster()).brokers.length === 3, 'the cluster has its brokers')
})
afterAll(async () => {
  await admin.disconnect()
  await Promise.all(brokers.map((broker) => broker.stop()))
  folder.remove()
})

interface Layout {
  /** Brokers of partition 0, 1 and so on, the leader first. */
  replicas: number[][]
  settings: Record<string, string>
}

async function makeTopic(topic: string, { replicas, settings }: Layout): Promise<void> {
  const replicaAssignment = replicas.map((ids, partition) => ({ partition, replicas: ids }))
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
  await admin.createTopics({ waitForLeaders: false, topics: [{ topic, replicaAssignment, configEntries }] })
  await untilKept(topic, replicas)
}

async function reassign(topic: string, partition: number, replicas: number[]): Promise<void> {
  await admin.alterPartitionReassignments({
    topics: [{ topic, partitionAssignment: [{ partition, replicas }] }],
  })
}

/** Empty until the asked broker knows the topic. */
async function topicsNamed(topic: string): Promise<kafkajs.ITopicMetadata[]> {
  try {
    return (await admin.fetchTopicMetadata({ topics: [topic] })).topics
  } catch (error) {
    if (isUnknownTopic(error) || kafkaErrorType(error) === 'LEADER_NOT_AVAILABLE') return []
    throw error
  }
}

async function untilKept(topic: string, replicas: number[][]): Promise<void> {
  const expected = replicas.map(([leader, ...others]) => ({ leader, count: 1 + others.length }))
  await until(
    async () => {
      const topics = await topicsNamed(topic)
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
    const producer = new Producer({ client: createClient({ config, log, name: 'test' }), log })
    const publish = (partition: number, value: string | Buffer) =>
      producer.publish(topic, [toRecord(partition, value)])
    // From now on the producer knows the leaders.
    await publish(moved, 'first')
    await publish(stayed, 'first')

    await reassign(topic, moved, [2])
    await untilKept(topic, moved === 0 ? [[2], [1]] : [[1], [2]])
    // While the first is in flight later ones wait, and are sent together.
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
  const producer = new Producer({
    client: createClient({ config, log, name: 'test' }),
    log: pino({ level: 'debug' }, { write: count }),
    giveUpAfterMs: 8_000,
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
  for (const value of ['second', 'third']) {
    expect(await publishAll(value)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
  }
  expect(takenApart).toBe(1)

  await brokers[2]?.start()
  await untilKept(topic, replicas)
  expect(await publishAll('last')).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  expect(await publishAll('end')).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  await producer.close()
  for (const partition of [1, 2]) {
    expect(await valuesOf(topic, partition)).toEqual(['first', 'second', 'third', 'last', 'end'])
  }
  expect(await valuesOf(topic, 0)).toEqual(['first', 'last', 'end'])
})

const frozenSeconds = 31
/**
 * A frozen broker stores the requests that it has received once it thaws. The producer gives up the first partition
 * shortly before the thaw, and retries the second one, whose first batch came later, across both moments.
 */
const giveUpSeconds = 28
const staggerSeconds = 5

test('a leader that is frozen for half a minute doubles no record, whoever gives up beside it, and each publish ends', async () => {
  const topic = 'frozen-leader'
  await makeTopic(topic, { replicas: [[1], [1]], settings: {} })
  const client = createClient({ config, log, name: 'test', requestTimeoutMs: 500 })
  const producer = new Producer({ client, log, giveUpAfterMs: giveUpSeconds * 1_000 })
  const publish = async (partition: number, value: string) => {
    const [outcome] = await Promise.allSettled([producer.publish(topic, [toRecord(partition, value)])])
    return { partition, value, isStored: outcome.status === 'fulfilled' }
  }
  const first = await Promise.all([publish(0, 'first'), publish(1, 'first')])

  await brokers[0]?.kill('SIGSTOP')
  const staggered: ReturnType<typeof publish>[] = []
  for (let second = 0; second < frozenSeconds; second++) {
    staggered.push(publish(Math.floor(second / staggerSeconds) % 2, String(second)))
    await sleep(1_000)
  }
  // The broker is still frozen: the first publishes end by themselves, others are in flight at the thaw.
  await Promise.all(staggered.slice(0, frozenSeconds - giveUpSeconds - 2))
  await brokers[0]?.kill('SIGCONT')
  const outcomes = await Promise.all(staggered)
  await untilKept(topic, [[1], [1]])
  const last = await Promise.all([publish(0, 'last'), publish(1, 'last')])
  await producer.close()

  for (const partition of [0, 1]) {
    const values = await valuesOf(topic, partition)
    expect(values).toEqual([...new Set(values)])
    const stored = [...first, ...outcomes, ...last].filter((o) => o.isStored && o.partition === partition)
    expect(values).toEqual(expect.arrayContaining(stored.map(({ value }) => value)))
  }
  expect([...first, ...last].every(({ isStored }) => isStored)).toBe(true)
}, 120_000)

/** Runs `work` with a new connection to these brokers. */
async function withKafka(work: (kafka: Kafka, health: Health) => Promise<void>): Promise<void> {
  const health = new Health()
  const failures: unknown[] = []
  const kafka = await openKafka({
    ...{ config, log, health, name: 'test', codec: openCodec(config) },
    fail: (error) => failures.push(error),
  })
  try {
    await work(kafka, health)
  } finally {
    await kafka.close()
  }
  expect(failures).toEqual([])
}

const bytesTopic = (name: string, partitions: number): Topic<Buffer> => ({
  ...topology('').deadLetters,
  ...{ name, partitions },
})

/** Offsets that one sink (a generation of a partition) has received; it settles nothing before `isOpen`. */
interface Generation {
  partition: number
  offsets: number[]
}

function holdingSink(generation: Generation, isOpen: () => boolean): PartitionSink<Buffer> {
  const settled = async () => ({
    through: isOpen() ? (generation.offsets.at(-1) ?? null) : null,
    deadLetters: [],
  })
  return {
    async write(records) {
      generation.offsets.push(...records.map(({ offset }) => offset))
      return settled()
    },
    tick: settled,
    close: async () => undefined,
  }
}

test('a leader that moves while records wait for their commit makes the group skip none', async () => {
  const name = 'moves-under-a-span'
  await makeTopic(name, { replicas: [[1], [2]], settings: {} })
  const generations: Generation[] = []
  let isOpen = false
  await withKafka(async (kafka) => {
    await kafka.consumeInto({
      ...{ group: `${name}-group`, topics: [bytesTopic(name, 2)] },
      open: (_topic, partition) => {
        const generation = { partition, offsets: [] }
        generations.push(generation)
        return holdingSink(generation, () => isOpen)
      },
    })
    let published = 0
    let isDone = false
    const trickle = (async () => {
      while (!isDone) {
        await kafka.publishBytes(name, [toRecord(1, String(published++))])
        await sleep(20)
      }
    })()
    const generationsOf = (partition: number) => generations.filter((t) => t.partition === partition)
    const lastOf = (partition: number) => generationsOf(partition).at(-1)?.offsets.length ?? 0
    await until(() => lastOf(1) > 10, 'records of partition 1 wait')
    for (const [moves, leader] of [3, 1, 3, 1].entries()) {
      const before = generationsOf(1).length
      await reassign(name, 0, [leader])
      await until(() => generationsOf(1).length > before, `the group joins again after move ${moves + 1}`)
      await until(() => lastOf(1) > 10, 'records of partition 1 wait again')
    }
    isDone = true
    await trickle
    isOpen = true
    await until(() => lastOf(1) >= published, 'the last generation was given every record')
  })
  // Nothing is committed: each generation begins at the first record and skips none.
  for (const { offsets } of generations) expect(offsets).toEqual(offsets.map((_, i) => i))
})

/** Changes bytes of a partition's log on broker 1. Returns a function that restores them. */
function damage(topic: string, partition: number, at: number): () => void {
  const logFolder = join(folder.path, 'store', 'kafka-1', 'data', `${topic}-${partition}`)
  const file = openSync(join(logFolder, '00000000000000000000.log'), 'r+')
  const bytes = Buffer.alloc(4)
  readSync(file, bytes, 0, bytes.length, at)
  writeSync(file, Buffer.from([0, 0, 0, 1]), 0, bytes.length, at)
  return () => {
    writeSync(file, bytes, 0, bytes.length, at)
    closeSync(file)
  }
}

test.each([
  // A batch's header has 61 bytes, with the length at 8.
  ['the client cannot read', 'cannot-decompress', 61],
  ['the broker cannot read', 'cannot-find', 8],
])(
  'what %s holds up its partition only',
  async (_who, name, at) => {
    await makeTopic(name, { replicas: [[1], [1]], settings: {} })
    const handled: string[] = []
    await withKafka(async (kafka, health) => {
      await kafka.publishBytes(name, [toRecord(0, 'a'.repeat(1_000)), toRecord(1, 'b')])
      const repair = damage(name, 0, at)
      const group = `${name}-group`
      await kafka.consume({
        ...{ group, topic: bytesTopic(name, 2) },
        handler: (records) => async () => {
          handled.push(...records.map((r) => String(r.bytes).slice(0, 1)))
          return []
        },
      })
      const held = async () =>
        (await metrics.consumerRetries.get()).values.find((v) => v.labels.group === group)
      await until(async () => ((await held())?.value ?? 0) >= 2, 'the damaged partition is tried again')
      await kafka.publishBytes(name, [toRecord(1, 'c')])
      await until(() => handled.includes('c'), 'its neighbour goes on')
      expect(handled).toEqual(['b', 'c'])
      expect(health.report()).toMatchObject({ alive: true, ready: false })
      const place = `partition:${group}/${name}/0`
      expect(kafka.outages.report().detail).toMatch(new RegExp(`${place} fails for \\d+ s: ${name}/0/0: `))
      repair()
      await until(() => handled.includes('a'), 'the partition goes on when it is mended', 60_000)
      expect(kafka.outages.report().detail).not.toContain(place)
      const restarts = (await metrics.consumerRestarts.get()).values
      expect(restarts.find(({ labels }) => labels.group === group)).toBeUndefined()
      await until(() => health.report().ready, 'all is well')
    })
  },
  120_000,
)
