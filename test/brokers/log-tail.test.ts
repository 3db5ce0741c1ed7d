import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { LogGuard } from '../../lib/kafka/log-guard.ts'
import { openLogReader } from '../../lib/kafka/log-reader.ts'
import type { Topic } from '../../lib/topology.ts'
import type { LinkedBroker } from '../support/linked-broker.ts'
import { log, startLinkedBroker } from '../support/linked-broker.ts'
import { dropTail } from '../support/log-tail.ts'
import { until } from '../support/until.ts'

/*
 * A power cut of the only broker: records that it had not synced are lost, and it assigns their offsets again in the
 * same topic. Consumers reach it over a link, the tests directly.
 */

let broker: LinkedBroker
let writer: Kafka

beforeAll(async () => {
  broker = await startLinkedBroker()
  writer = await broker.open(broker.direct)
})
afterAll(async () => {
  await writer?.close()
  await broker?.release()
})

/** Publishes one batch for each value. */
async function publish(topic: Topic, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++)
    await writer.publishBytes(topic.name, [{ key: 'k', value: Buffer.from(`${i}`) }])
}

async function consume(topic: Topic<Buffer>, seen: Set<string>): Promise<Kafka> {
  const kafka = await broker.open(broker.linked)
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
  (await broker.admin.readGroupLag(`${topic.name}-group`, [topic.name])).partitions[0]?.committed

/** Kills the broker and removes the last batches from its log, as if they had not been synced. */
async function powerCut(topic: Topic, batches: number): Promise<void> {
  broker.link.setMode({ type: 'refuse' })
  broker.link.cut()
  await broker.server.kill('SIGKILL')
  expect(dropTail(broker.folderOf(topic.name), batches)).toBe(batches)
  await broker.server.start()
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i))
const sorted = (seen: Set<string>) => [...seen].sort((a, b) => Number(a) - Number(b))

test('a running consumer whose position the new log has outgrown reads what it would have passed over', {
  timeout: 120_000,
}, async () => {
  const topic = await broker.makeTopic('running')
  const seen = new Set<string>()
  await publish(topic, 0, 10)
  const kafka = await consume(topic, seen)
  await until(async () => (await committed(topic)) === 10, 'all are committed')
  const reader = openLogReader({ config: broker.direct, log, name: 'test' })
  const before = await reader.readTopicIds([topic.name])
  await powerCut(topic, 3)
  await publish(topic, 10, 20)
  expect((await broker.admin.readEnds(topic.name))?.[0]?.end).toBe(17)
  expect(await reader.readTopicIds([topic.name])).toEqual(before)
  broker.link.setMode({ type: 'open' })
  await until(() => seen.size === 20, 'all of the new log are handed over', 60_000)
  expect(sorted(seen)).toEqual(range(0, 20))
  await reader.close()
  await kafka.close()
})

test('a consumer that starts after the power cut compares the record before its position', {
  timeout: 120_000,
}, async () => {
  const topic = await broker.makeTopic('stopped')
  const seen = new Set<string>()
  await publish(topic, 0, 10)
  const first = await consume(topic, seen)
  await until(async () => (await committed(topic)) === 10, 'all are committed')
  await first.close()
  const reader = openLogReader({ config: broker.direct, log, name: 'test' })
  const lost = await reader.readRecord(topic.name, 0, 9)
  const kept = await reader.readRecord(topic.name, 0, 6)
  await powerCut(topic, 3)
  await publish(topic, 10, 20)
  if (!lost || !kept) throw new Error('the log had ten records')
  // A running consumer notices it by the risen leader epoch and the missing last record that it had read.
  expect((await reader.readRecord(topic.name, 0, 9))?.epoch).toBeGreaterThan(lost.epoch)
  const guard = new LogGuard('nobody', { config: broker.direct, log, name: 'test' })
  expect(await guard.stillHas(topic.name, 0, { ...lost, offset: 9 })).toBe(false)
  expect(await guard.stillHas(topic.name, 0, { ...kept, offset: 6 })).toBe(true)
  await Promise.all([guard.close(), reader.close()])
  broker.link.setMode({ type: 'open' })
  const second = await consume(topic, seen)
  await until(() => seen.size === 20, 'all of the new log are handed over', 60_000)
  expect(sorted(seen)).toEqual(range(0, 20))
  await second.close()
})
