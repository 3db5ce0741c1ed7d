import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LogState } from './log-mark.ts'
import { judgeLog, parseCommitText, toCommitText, toMark } from './log-mark.ts'
import { LogMarks } from './log-marks.ts'

const bytes = (text: string) => Buffer.from(text)
const record = (offset: number) => ({
  ...{ topic: 't', partition: 0, offset, timestamp: 1_000 + offset, key: bytes('7') },
  ...{ headers: [], bytes: bytes(`value ${offset}`) },
})
const last = toMark(record(9))
const known = { topicId: 'one', last, position: 10 }
const log: LogState = { topicId: 'one', start: 0, end: 20, before: last }

test.each<[string, Partial<LogState>, Partial<typeof known> | { topicId: null } | { last: null }, string]>([
  ['the same record lies before the position', {}, {}, 'same'],
  ['another record lies there', { before: toMark(record(8)) }, {}, 'replaced'],
  ['compaction has removed the record', { before: null }, {}, 'same'],
  ['retention has removed all up to the position', { start: 10, before: null }, {}, 'same'],
  ['retention has removed more', { start: 11, before: null }, {}, 'forgotten'],
  ['the log ends before the position', { end: 9, before: null }, {}, 'replaced'],
  ['the log ends at the position', { end: 10 }, {}, 'same'],
  ['the topic has another id, whatever lies before the position', { topicId: 'two' }, {}, 'replaced'],
  ['the id is another and the record is gone', { topicId: 'two', before: null }, {}, 'replaced'],
  ['brokers say no ids, and the record is the same', { topicId: null }, {}, 'same'],
  [
    'brokers say no ids, and the record is another',
    { topicId: null, before: toMark(record(8)) },
    {},
    'replaced',
  ],
  ['the commit says no id', {}, { topicId: null }, 'same'],
  ['the commit says nothing', { before: toMark(record(8)) }, { topicId: null, last: null } as never, 'same'],
  [
    'the commit says nothing, and the log is shorter',
    { end: 5, before: null },
    { topicId: null, last: null } as never,
    'replaced',
  ],
])('a log is judged when %s', (_, state, more, verdict) => {
  expect(judgeLog({ ...known, ...more } as never, { ...log, ...state })).toBe(verdict)
})

test('what a commit says is read again, in far less than the 4096 bytes that a broker takes', () => {
  const ids = fc.option(fc.stringMatching(/^[\w-]{22}$/))
  const marks = fc.option(fc.record({ timestamp: fc.maxSafeInteger(), checksum: fc.nat(2 ** 32 - 1) }))
  fc.assert(
    fc.property(ids, marks, (topicId, mark) => {
      const text = toCommitText({ topicId, last: mark })
      expect(parseCommitText(text)).toEqual({ topicId, last: mark })
      expect(text.length).toBeLessThan(200)
    }),
  )
})

test.each([null, '', 'autocommit', '{}', 'null', '[]', '7', '{"topicId":7,"timestamp":"x"}'])(
  'a commit by something else says nothing: %s',
  (text) => {
    expect(parseCommitText(text)).toEqual({ topicId: null, last: null })
  },
)

test.each([
  ['time', { timestamp: 1 }],
  ['key', { key: null }],
  ['value', { bytes: bytes('x') }],
  ['tombstone', { bytes: null }],
  ['empty value', { bytes: bytes('') }],
  ['headers', { headers: [{ name: 'restore.offset', value: bytes('9') }] }],
  ['bytes that move from the value to the key', { key: bytes('7v'), bytes: bytes('alue 9') }],
])('another %s is another mark', (_, change) => {
  expect(toMark({ ...record(9), ...change })).not.toEqual(last)
})

test('the mark of any record that a sink settles is known, whole batches or parts of them', () => {
  const marks = new LogMarks()
  marks.note([record(0), record(1), record(2)], null)
  marks.note([record(3), record(7)], 1)
  expect(marks.take(1)).toEqual(toMark(record(1)))
  expect(marks.take(1)).toEqual(toMark(record(1)))
  expect(marks.take(7)).toEqual(toMark(record(7)))
  expect(marks.take(3)).toBeNull()
  marks.note([record(8), record(9)], 9)
  expect(marks.take(9)).toEqual(last)
})
