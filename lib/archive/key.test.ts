import fc from 'fast-check'
import { expect, test } from 'vitest'
import { archiveDate, objectKey, parseDateFolder, parseObjectKey } from './key.ts'

const key = { topic: 'spotify.recently-played', partition: 11, firstOffset: 1234, date: '2026-11-24' }
const path =
  'topic=spotify.recently-played/date=2026-11-24/spotify.recently-played+11+00000000000000001234.avro'

test('a key names topic, date, partition and the first offset in 20 digits', () => {
  expect(objectKey('raw/pages', key)).toBe(`raw/pages/${path}`)
})

test('an empty prefix gives no leading slash', () => {
  expect(objectKey('', key)).toBe(path)
})

test('every key is read as what it was made of', () => {
  const keys = fc.record({
    topic: fc.stringMatching(/^[a-zA-Z0-9._-]{1,40}$/),
    partition: fc.nat(),
    firstOffset: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    date: fc.date({ noInvalidDate: true }).map((d) => archiveDate(d.getTime())),
  })
  fc.assert(
    fc.property(keys, fc.constantFrom('', 'raw', 'a/b'), (k, prefix) => {
      expect(parseObjectKey(objectKey(prefix, k))).toEqual(k)
    }),
  )
})

test.each([
  'topic=a/date=2026-11-24/b+0+00000000000000000000.avro',
  'topic=a/date=2026-11-24/a+0+0.avro',
  'topic=a/date=2026-11-24/a+0+00000000000000000000.avro.tmp',
  'topic=a/a+0+00000000000000000000.avro',
  '',
])('a foreign key is no archive object: %s', (foreign) => {
  expect(parseObjectKey(foreign)).toBeNull()
})

test('a topic folder of another kind is no date', () => {
  expect(parseDateFolder('raw/topic=a/date=2026-11-24/')).toBe('2026-11-24')
  expect(parseDateFolder('raw/topic=a/tmp/')).toBeNull()
})

test.each([
  [0, '1970-01-01'],
  [-1, '1969-12-31'],
  [Date.UTC(2026, 10, 24, 23, 59, 59, 999), '2026-11-24'],
  [Number.MAX_SAFE_INTEGER, '9999-12-31'],
  [Number.MIN_SAFE_INTEGER, '1000-01-01'],
])('any timestamp has a date: %d', (timestamp, date) => {
  expect(archiveDate(timestamp)).toBe(date)
})
