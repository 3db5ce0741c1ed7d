import { expect, test } from 'vitest'
import { toEvent } from '../../lib/events.ts'
import { deadLetterHeaders } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import { toDeadLetterReport, toEventReport } from './report.ts'

const record: RawRecord = {
  topic: 'dead-letters',
  partition: 2,
  offset: 40,
  timestamp: 1_000,
  key: Buffer.from('7'),
  headers: [],
  bytes: null,
}

test('a dead letter is of the kind of its group, topic and reason, and names the record', () => {
  const origin = { ...record, topic: 'spotify.recently-played', partition: 3, offset: 9 }
  const info = {
    group: 'loader.history',
    reason: 'rejected_item',
    message: 'item 4',
    attempts: 1,
    at: 5,
  } as const
  expect(toDeadLetterReport({ ...record, headers: deadLetterHeaders(origin, info) })).toMatchObject({
    kind: 'dead-letter loader.history spotify.recently-played rejected_item',
    title: 'Dead letter: rejected_item in loader.history',
    example: 'spotify.recently-played/3 offset 9, key 7: item 4',
    at: 5,
    partition: 'dead-letters/2',
    offset: 40,
  })
})

test('a record in the dead letters without headers is told all the same', () => {
  const report = toDeadLetterReport({ ...record, key: null })
  expect(report).toMatchObject({ title: 'Dead letter: unknown in unknown', at: 1_000 })
  expect(report.text).toBe('A record could not be dealt with.\nunknown')
})

test('a reason that is a property of every object is no reason', () => {
  const headers = [{ name: 'dlq.reason', value: Buffer.from('constructor') }]
  expect(toDeadLetterReport({ ...record, headers }).text).toContain('A record could not be dealt with.')
})

test('an event is of the kind of its type and subject; an unknown severity counts as a warning', () => {
  const event = toEvent(
    { type: 'spotify_outage', subject: 'app', severity: 'critical', message: 'm', details: { a: 'b' } },
    'poller',
    7,
  )
  expect(toEventReport(event, record)).toMatchObject({
    kind: 'event spotify_outage app',
    family: 'event spotify_outage',
    state: 'raised',
    severity: 'critical',
    fields: [{ name: 'a', value: 'b' }],
    source: 'poller',
    at: 7,
  })
  expect(toEventReport({ ...event, severity: 'fatal', state: 'resolved' }, record)).toMatchObject({
    severity: 'warning',
    state: 'resolved',
  })
})
