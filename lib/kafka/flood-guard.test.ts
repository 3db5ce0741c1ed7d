import { expect, test } from 'vitest'
import type { Notice } from '../events.ts'
import { FloodGuard } from './flood-guard.ts'
import type { RawRecord } from './record.ts'

test('a batch whose dead letters are not published yet counts once, however often it comes', async () => {
  const raised: Notice[] = []
  const limits = { maxRatio: 0.5, minDeadLetters: 10, windowRecords: 50 }
  const guard = new FloodGuard({ group: 'g', limits, notify: (notice) => raised.push(notice) })
  const record: RawRecord = {
    ...{ topic: 't', partition: 0, offset: 0, timestamp: 0, key: null, headers: [], bytes: null },
  }
  const batch = { records: [record], deadLetters: [{ record, reason: 'no_value' as const, message: '' }] }
  const refused = async () => {
    throw new Error('Kafka is away')
  }
  for (let i = 0; i < 20; i++) await expect(guard.settle('t/0', batch, refused)).rejects.toThrow('is away')
  await guard.settle('t/0', batch, async () => undefined)
  expect(raised).toEqual([])
})
