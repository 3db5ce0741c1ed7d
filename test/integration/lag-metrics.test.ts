import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { LagWatch } from '../../lib/lag/watch.ts'
import { metrics } from '../../lib/metrics.ts'
import { hideLag, showLag } from '../../services/alerter/lag-metrics.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { until } from '../support/until.ts'

const minuteMs = 60_000

let stream: Stream
let admin: Admin

beforeAll(async () => {
  stream = await createStream()
  admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
})
afterAll(async () => {
  await admin.close()
  await stream.release()
})

interface Gauge {
  get(): Promise<{ values: { value: number; labels: Partial<Record<string, string | number>> }[] }>
}

async function valuesOf(gauge: Gauge, labels: Record<string, string | number>): Promise<number[]> {
  const { values } = await gauge.get()
  return values
    .filter((v) => Object.entries(labels).every(([name, value]) => v.labels[name] === value))
    .map((v) => v.value)
}

test('shows how many records wait and how old the oldest of them is, and nothing once another samples', async () => {
  const { events, groups } = stream.topology
  const { kafka } = await stream.openKafka()
  const group = groups.alerter
  const ages = [90 * minuteMs, 30 * minuteMs, 10_000]
  for (const age of ages) {
    await kafka.publishBytes(events.name, [
      { key: 'app', value: Buffer.from('x'), timestamp: Date.now() - age, partition: 0 },
    ])
  }
  const watch = new LagWatch({
    admin,
    client: { config: stream.config, log: stream.log, name: 'test' },
    topology: stream.topology,
    groups: new Map([[group, [events.name]]]),
  })
  const show = async () => showLag(await watch.sample({ ages: true }))

  await show()
  const waiting = { consumergroup: group, topic: events.name }
  expect(await valuesOf(metrics.consumerLag, waiting)).toEqual([3])
  expect(await valuesOf(metrics.consumerMembers, { consumergroup: group })).toEqual([0])
  expect(await valuesOf(metrics.partitionEnd, { topic: events.name })).toEqual([3])
  const [oldest = 0] = await valuesOf(metrics.consumerLagSeconds, { group, topic: events.name })
  expect(oldest).toBeGreaterThanOrEqual(90 * 60)
  expect(oldest).toBeLessThan(95 * 60)
  expect(await valuesOf(metrics.consumerMaxLagSeconds, { group })).toEqual([oldest])

  let seen = 0
  await kafka.consumeInto({
    group,
    topics: [events],
    open: () => ({
      write: async (records) => {
        seen += records.length
        return { through: records.at(-1)?.offset ?? null, deadLetters: [] }
      },
      tick: async () => ({ through: null, deadLetters: [] }),
      close: async () => undefined,
    }),
  })
  await until(async () => {
    await show()
    return (await valuesOf(metrics.consumerLag, waiting))[0] === 0
  }, 'the group has caught up')
  expect(seen).toBe(3)
  expect(await valuesOf(metrics.consumerLagSeconds, { group, topic: events.name })).toEqual([0])
  expect(await valuesOf(metrics.consumerMembers, { consumergroup: group })).toEqual([1])

  hideLag()
  expect(await valuesOf(metrics.consumerLag, {})).toEqual([])
})
