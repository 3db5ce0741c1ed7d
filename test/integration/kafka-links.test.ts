import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openCodec } from '../../lib/codec.ts'
import type { KafkaConfig } from '../../lib/config.ts'
import { kafkaConfig, kafkaEnv, parseEnv } from '../../lib/config.ts'
import { Health } from '../../lib/health.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { createClient } from '../../lib/kafka/client.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import { Producer } from '../../lib/kafka/producer.ts'
import { openLog } from '../../lib/log.ts'
import type { Topic } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import { createKafka } from '../../stack/infra/kafka.ts'
import { freePorts } from '../../stack/infra/ports.ts'
import type { Server } from '../../stack/infra/server.ts'
import { jarsDir } from '../../stack/settings.ts'
import type { BrokerFolder } from '../support/infra.ts'
import { makeBrokerFolder } from '../support/infra.ts'
import { readTopic } from '../support/kafka.ts'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

/** A broker of this file's own, reachable through a link that the tests break. */
let broker: Server
let link: TcpProxy
let folder: BrokerFolder
let config: KafkaConfig
let admin: Admin
const log = openLog('test', process.env.TEST_LOG_LEVEL ?? 'silent')

beforeAll(async () => {
  folder = makeBrokerFolder()
  const dataDir = folder.path
  const ports = await freePorts(1)
  const [port = 0] = ports.kafka
  link = await openTcpProxy({ port })
  const [server] = createKafka({
    dataDir,
    storeDir: join(dataDir, 'store'),
    jarsDir,
    ports: ports.kafka,
    controllerPorts: ports.controller,
    links: { advertisedPorts: [link.port], replicationPorts: (await freePorts(1)).kafka },
    onCrash: (fault) => log.error(fault),
  })
  if (!server) throw new Error('no broker')
  broker = server
  await broker.start()
  config = kafkaConfig(
    parseEnv(kafkaEnv, {
      KAFKA_BROKERS: `127.0.0.1:${link.port}`,
      SCHEMA_REGISTRY_URL: 'http://127.0.0.1:9',
    }),
  )
  admin = await openAdmin({ config, log, name: 'test' })
  await admin.ensureTopics([topology().events, topology().deadLetters], 1)
})
afterAll(async () => {
  await admin.close()
  await broker.stop()
  await link.close()
  folder.remove()
})

async function freshTopic(name: string, partitions = 1): Promise<Topic<Buffer>> {
  const fresh = { ...topology().deadLetters, name, partitions }
  await admin.ensureTopics([fresh], 1)
  return fresh
}

const valuesOf = async (topic: string) =>
  (await readTopic({ config, log, name: 'reader' }, topic)).map((r) => r.bytes?.toString())

/** Size of the only segment of the topic's only partition, read past the link. */
const logBytes = (topic: string) =>
  statSync(join(folder.path, 'store', 'kafka', 'data', `${topic}-0`, '00000000000000000000.log')).size

describe('a producer', () => {
  test('after giving up on a record that the broker had stored, does not lose the next one', async () => {
    const topic = await freshTopic('gave-up')
    const producer = new Producer({
      client: createClient({ config, log, name: 'test' }),
      log,
      giveUpAfterMs: 2_000,
    })
    await producer.publish(topic.name, [{ key: 'k', value: Buffer.from('first') }])

    const before = logBytes(topic.name)
    link.setMode({ type: 'half' })
    const second = producer.publish(topic.name, [{ key: 'k', value: Buffer.from('second') }]).then(
      () => 'acknowledged',
      () => 'given up',
    )
    await until(() => logBytes(topic.name) > before, 'the broker has the second record')
    link.setMode({ type: 'refuse' })
    link.cut()
    expect(await second).toBe('given up')

    link.setMode({ type: 'open' })
    await producer.publish(topic.name, [{ key: 'k', value: Buffer.from('third') }])
    await producer.close()
    expect(await valuesOf(topic.name)).toEqual(['first', 'second', 'third'])
  })

  test('a link that is cut during a publish neither loses nor doubles a record', async () => {
    const partitions = 6
    const topic = await freshTopic('cut', partitions)
    const producer = new Producer({ client: createClient({ config, log, name: 'test' }), log })
    // What is cut are requests to publish, not the first look at the topic: a caller is told of that at once.
    await producer.publish(topic.name, [{ key: null, value: Buffer.from('0'), partition: 0 }])
    const values = Array.from({ length: 600 }, (_, i) => i)
    const published = values.slice(1).map(async (i) => {
      // In bursts, so that some records wait while others are under way.
      await new Promise((resolve) => setTimeout(resolve, 5 * Math.floor(i / 20)))
      if (i % 100 === 50) setImmediate(() => link.cut())
      const record = { key: null, value: Buffer.from(`${i}`), partition: i % partitions }
      await producer.publish(topic.name, [record])
    })
    await Promise.all(published)
    await producer.close()
    const records = await readTopic({ config, log, name: 'reader' }, topic.name)
    for (let partition = 0; partition < partitions; partition++) {
      const stored = records.filter((r) => r.partition === partition).map((r) => Number(r.bytes))
      expect(stored).toEqual(values.filter((i) => i % partitions === partition))
    }
  })
})

describe('a consumer', () => {
  const open = (name: string) =>
    openKafka({
      config,
      codec: openCodec(config),
      log,
      health: new Health(),
      name,
      fail: (error) => log.error({ err: error }),
    })

  test('does not come back to life when it is closed while its broker is away', async () => {
    const topic = await freshTopic('revival')
    const kafka = await open('revival')
    let handled = 0
    await kafka.publishBytes(topic.name, [{ key: 'k', value: Buffer.from('before') }])
    await kafka.consume({
      group: 'revival',
      topic,
      handler: (records) => async () => {
        handled += records.length
        return []
      },
    })
    await until(() => handled === 1, 'the first record is handled')
    link.setMode({ type: 'refuse' })
    link.cut()
    await kafka.close()
    link.setMode({ type: 'open' })
    const other = await open('other')
    await other.publishBytes(topic.name, [{ key: 'k', value: Buffer.from('after') }])
    // A revived consumer would have the record by the time that a new member of another group has it.
    let seen = 0
    await other.consume({
      group: 'witness',
      topic,
      handler: (records) => async () => {
        seen += records.length
        return []
      },
    })
    await until(() => seen === 2, 'the witness has both')
    await other.close()
    expect(handled).toBe(1)
  })

  test('goes on by itself after the broker was restarted, and loses nothing', async () => {
    const topic = await freshTopic('restarted')
    const kafka = await open('restarted')
    const seen: string[] = []
    await kafka.consume({
      group: 'restarted',
      topic,
      handler: (records) => async () => {
        seen.push(...records.map((r) => r.value.toString()))
        return []
      },
    })
    await kafka.publishBytes(topic.name, [{ key: 'k', value: Buffer.from('before') }])
    await until(() => seen.includes('before'), 'the first record is handled')
    await broker.kill('SIGKILL')
    const during = kafka.publishBytes(topic.name, [{ key: 'k', value: Buffer.from('during') }])
    await broker.start()
    await during
    await kafka.publishBytes(topic.name, [{ key: 'k', value: Buffer.from('after') }])
    await until(() => seen.includes('after'), 'the last record is handled', 60_000)
    expect(new Set(seen)).toEqual(new Set(['before', 'during', 'after']))
    await kafka.close()
  }, 120_000)
})
