import type kafkajs from 'kafkajs'
import { expect, test } from 'vitest'
import { openLog } from '../log.ts'
import { Outages } from '../outages.ts'
import type { DeliveryParts } from './delivery.ts'
import { Delivery } from './delivery.ts'
import type { AssignedPartition } from './membership.ts'

/** A delivery of one partition, whose check of its log ends when the test lets it. */
function openDelivery() {
  const enqueued: unknown[] = []
  const resolved: string[] = []
  const looked = Promise.withResolvers<boolean>()
  const assigned = {
    worker: { full: false, enqueue: (records: unknown) => enqueued.push(records) },
    log: { topic: 't', partition: 0, topicId: null },
  } as unknown as AssignedPartition<null>
  const assignment = new Map([['t/0', assigned]])
  const delivery = new Delivery<null>(
    {
      ...{
        group: 'g',
        server: { name: 'kafka', probe: async () => undefined },
        log: openLog('test', 'silent'),
      },
      outages: new Outages({ afterMs: 0, instance: 'test', notify: () => undefined }),
    },
    {
      membership: { of: (place: string) => assignment.get(place), workers: [assigned.worker] },
      guard: { follows: () => looked.promise },
      consumer: {},
      crash: () => undefined,
    } as unknown as DeliveryParts<null>,
  )
  const payload = {
    batch: {
      topic: 't',
      partition: 0,
      messages: [],
      rawMessages: [],
      highWatermark: '9',
      lastOffset: () => '8',
    },
    isStale: () => false,
    resolveOffset: (offset: string) => resolved.push(offset),
  } as unknown as kafkajs.EachBatchPayload
  return { delivery, assignment, assigned, looked, payload, enqueued, resolved }
}

test('a batch is enqueued, and its end resolved, when it follows what was read', async () => {
  const { delivery, payload, looked, enqueued, resolved } = openDelivery()
  looked.resolve(true)
  await delivery.take(payload)
  expect(enqueued).toHaveLength(1)
  expect(resolved).toEqual(['8'])
})

test('a rebalance during the look at the log resolves no offset of the new generation', async () => {
  const { delivery, assignment, assigned, looked, payload, enqueued, resolved } = openDelivery()
  const taking = delivery.take(payload)
  assignment.set('t/0', { ...assigned })
  looked.resolve(true)
  await taking
  expect(resolved).toEqual([])
  expect(enqueued).toEqual([])
})
