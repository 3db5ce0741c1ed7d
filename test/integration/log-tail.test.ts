import { readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCodec } from '../../lib/codec.ts'
import type { KafkaConfig } from '../../lib/config.ts'
import { kafkaConfig, kafkaEnv, parseEnv } from '../../lib/config.ts'
import { Health } from '../../lib/health.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import { LogGuard } from '../../lib/kafka/log-guard.ts'
import { openLogReader } from '../../lib/kafka/log-reader.ts'
import { openLog } from '../../lib/log.ts'
import type { Topic } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import { createKafka } from '../../stack/infra/kafka.ts'
import { freePorts } from '../../stack/infra/ports.ts'
import type { Server } from '../../stack/infra/server.ts'
import { jarsDir } from '../../stack/settings.ts'
import type { BrokerFolder } from '../support/infra.ts'
import { makeBrokerFolder } from '../support/infra.ts'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

/*
 * A power cut of the only broker: what it had not synced is gone from its disk, and it gives the same offsets again,
 * in the same topic. Consumers reach it through a link, the tests past it.
 */

let broker: Server
let link: TcpProxy
let folder: BrokerFolder
let linked: KafkaConfig
let direct: KafkaConfig
let admin: Admin
let writer: Kafka
const log = openLog('test', process.env.TEST_LOG_LEVEL ?? 'silent')

beforeAll(async () => {
  folder = makeBrokerFolder()
  const dataDir = folder.path
  const [ports, others] = [await freePorts(1), await freePorts(1)]
  link = await openTcpProxy({ port: ports.kafka[0] ?? 0 })
  const [server] = createKafka({
    ...{ dataDir, storeDir: join(dataDir, 'store'), jarsDir },
    ...{ ports: ports.kafka, controllerPorts: ports.controller },
    links: { advertisedPorts: [link.port], replicationPorts: others.kafka },
    onCrash: (fault) => log.error(fault),
  })
  if (!server) throw new Error('no broker')
  broker = server
  await broker.start()
  linked = configOf(link.port)
  direct = configOf(others.kafka[0] ?? 0)
  admin = await openAdmin({ config: direct, log, name: 'test' })
  await admin.ensureTopics([topology().events, topology().deadLetters], 1)
  writer = await open(direct)
})
afterAll(async () => {
  await writer.close()
  await admin.close()
  await broker.stop()
  await link.close()
  folder.remove()
})

const configOf = (port: number) =>
  kafkaConfig(
    parseEnv(kafkaEnv, { KAFKA_BROKERS: `127.0.0.1:${port}`, SCHEMA_REGISTRY_URL: 'http://127.0.0.1:9' }),
  )

const open = (config: KafkaConfig) =>
  openKafka({
    ...{ config, codec: openCodec(config), log, health: new Health(), name: 'test' },
    fail: (err) => log.error({ err }),
  })

async function freshTopic(name: string): Promise<Topic<Buffer>> {
  const fresh = { ...topology().deadLetters, name, partitions: 1 }
  await admin.ensureTopics([fresh], 1)
  return fresh
}

/** One batch for each value. */
async function publish(topic: Topic, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++)
    await writer.publishBytes(topic.name, [{ key: 'k', value: Buffer.from(`${i}`) }])
}

async function consume(topic: Topic<Buffer>, seen: Set<string>): Promise<Kafka> {
  const kafka = await open(linked)
  await kafka.consume({
    group: `${topic.name}-group`,
    topic,
    handler: (records) => async () => {
      for (const { value } of records) seen.add(value.toString())
      return []
    },
  })
  return kafka
}

const committed = async (topic: Topic) =>
  (await admin.readGroupLag(`${topic.name}-group`, [topic.name])).partitions[0]?.committed

/** Kills the broker, and cuts its log to so many records, as a disk has it that was not synced. */
async function powerCut(topic: Topic, records: number): Promise<void> {
  link.setMode({ type: 'refuse' })
  link.cut()
  await broker.kill('SIGKILL')
  const file = join(folder.path, 'store', 'kafka', 'data', `${topic.name}-0`, '00000000000000000000.log')
  const bytes = readFileSync(file)
  let end = 0
  // Each batch: the offset of its first record, and the length of what follows.
  while (end < bytes.length && bytes.readBigInt64BE(end) < records) end += 12 + bytes.readInt32BE(end + 8)
  truncateSync(file, end)
  await broker.start()
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i))
const sorted = (seen: Set<string>) => [...seen].sort((a, b) => Number(a) - Number(b))

test('a running consumer whose position the new log has outgrown reads what it would have passed over', {
  timeout: 120_000,
}, async () => {
  const topic = await freshTopic('running')
  const seen = new Set<string>()
  await publish(topic, 0, 10)
  const kafka = await consume(topic, seen)
  await until(async () => (await committed(topic)) === 10, 'all are committed')
  const reader = openLogReader({ config: direct, log, name: 'test' })
  const before = await reader.readTopicIds([topic.name])
  await powerCut(topic, 7)
  await publish(topic, 10, 20)
  expect((await admin.readEnds(topic.name))?.[0]?.end).toBe(17)
  expect(await reader.readTopicIds([topic.name])).toEqual(before)
  link.setMode({ type: 'open' })
  await until(() => seen.size === 20, 'all of the new log are handed over', 90_000)
  expect(sorted(seen)).toEqual(range(0, 20))
  await reader.close()
  await kafka.close()
})

test('a consumer that starts after the power cut compares the record before its position', {
  timeout: 120_000,
}, async () => {
  const topic = await freshTopic('stopped')
  const seen = new Set<string>()
  await publish(topic, 0, 10)
  const first = await consume(topic, seen)
  await until(async () => (await committed(topic)) === 10, 'all are committed')
  await first.close()
  const reader = openLogReader({ config: direct, log, name: 'test' })
  const lost = await reader.readRecord(topic.name, 0, 9)
  const kept = await reader.readRecord(topic.name, 0, 6)
  await powerCut(topic, 7)
  await publish(topic, 10, 20)
  if (!lost || !kept) throw new Error('the log had ten records')
  // What a running consumer goes by: the leader's epoch has risen, and the last record that it read is gone.
  expect((await reader.readRecord(topic.name, 0, 9))?.epoch).toBeGreaterThan(lost.epoch)
  const guard = new LogGuard('nobody', { config: direct, log, name: 'test' })
  expect(await guard.stillHas(topic.name, 0, { ...lost, offset: 9 })).toBe(false)
  expect(await guard.stillHas(topic.name, 0, { ...kept, offset: 6 })).toBe(true)
  await Promise.all([guard.close(), reader.close()])
  link.setMode({ type: 'open' })
  const second = await consume(topic, seen)
  await until(() => seen.size === 20, 'all of the new log are handed over', 90_000)
  expect(sorted(seen)).toEqual(range(0, 20))
  await second.close()
})
