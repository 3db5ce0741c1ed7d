import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KafkaConfig } from '../../lib/config.ts'
import { createClient } from '../../lib/kafka/client.ts'
import { Producer } from '../../lib/kafka/producer.ts'
import { readTopic } from '../support/kafka.ts'
import type { LinkedBroker } from '../support/linked-broker.ts'
import { log, startLinkedBroker } from '../support/linked-broker.ts'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import { until, untilBack } from '../support/until.ts'

let broker: LinkedBroker
let link: TcpProxy
let config: KafkaConfig

beforeAll(async () => {
  broker = await startLinkedBroker()
  link = broker.link
  config = broker.linked
})
afterAll(() => broker?.release())

const valuesOf = async (topic: string) =>
  (await readTopic({ config, log, name: 'reader' }, topic)).map((r) => r.bytes?.toString())

/** Size of the only segment of the topic's only partition, read past the link. */
const logBytes = (topic: string) => statSync(join(broker.folderOf(topic), '00000000000000000000.log')).size

describe('a producer', () => {
  test('after giving up on a record that the broker had stored, does not lose the next one', async () => {
    const topic = await broker.makeTopic('gave-up')
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
    const topic = await broker.makeTopic('cut', partitions)
    const producer = new Producer({ client: createClient({ config, log, name: 'test' }), log })
    // Requests to publish are cut, not the first read of the topic's metadata, which fails at once for the caller.
    await producer.publish(topic.name, [{ key: null, value: Buffer.from('0'), partition: 0 }])
    const values = Array.from({ length: 600 }, (_, i) => i)
    const published = values.slice(1).map(async (i) => {
      // In bursts, so that some records wait while others are in flight.
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
  test('does not come back to life when it is closed while its broker is away', async () => {
    const topic = await broker.makeTopic('revival')
    const kafka = await broker.open(config)
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
    const other = await broker.open(config)
    await other.publishBytes(topic.name, [{ key: 'k', value: Buffer.from('after') }])
    // A revived consumer would get the record before a new member of another group does.
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
    const topic = await broker.makeTopic('restarted')
    const kafka = await broker.open(config)
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
    await broker.server.kill('SIGKILL')
    // A slow start of the broker may take longer than the producer retries.
    const during = untilBack(
      () => kafka.publishBytes(topic.name, [{ key: 'k', value: Buffer.from('during') }]).then(() => true),
      'the record is taken',
      90_000,
    )
    await broker.server.start()
    await during
    await kafka.publishBytes(topic.name, [{ key: 'k', value: Buffer.from('after') }])
    await until(() => seen.includes('after'), 'the last record is handled', 60_000)
    expect(new Set(seen)).toEqual(new Set(['before', 'during', 'after']))
    await kafka.close()
  }, 120_000)
})
