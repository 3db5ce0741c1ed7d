import fc from 'fast-check'
import { expect, test } from 'vitest'
import { archiveDate, byPlace, objectKey, parseDateFolder, parseObjectKey } from './key.ts'

const key = { topic: 'spotify.recently-played', partition: 11, firstOffset: 1234, date: '2026-11-24' }
const path =
  'topic=spotify.recently-played/date=2026-11-24/spotify.recently-played+11+00000000000000001234.avro'

test('a key names topic, date, partition and the first offset in 20 digits', () => {
  expect(objectKey('raw/pages', key)).toBe(`raw/pages/${path}`)
})

test('the second log of a partition has its number at the end of the name, the first has none', () => {
  expect(objectKey('raw/pages', { ...key, incarnation: 1 })).toBe(`raw/pages/${path.slice(0, -5)}+1.avro`)
  expect(objectKey('raw/pages', { ...key, incarnation: 0 })).toBe(`raw/pages/${path}`)
  expect(parseObjectKey(path)).not.toHaveProperty('incarnation')
})

test('objects are ordered by partition, incarnation and first offset', () => {
  const first = { ...key, firstOffset: 7 }
  const second = { ...key, firstOffset: 0, incarnation: 1 }
  const tenth = { ...key, firstOffset: 0, incarnation: 10 }
  const other = { ...key, partition: 12, firstOffset: 0 }
  expect([other, tenth, second, key, first].toSorted(byPlace)).toEqual([first, key, second, tenth, other])
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
    fc.property(keys, fc.nat(999_999_999), fc.constantFrom('', 'raw', 'a/b'), (k, incarnation, prefix) => {
      const named = incarnation === 0 ? k : { ...k, incarnation }
      expect(parseObjectKey(objectKey(prefix, named))).toEqual(named)
    }),
  )
})

test.each([
  'topic=a/date=2026-11-24/b+0+00000000000000000000.avro',
  'topic=a/date=2026-11-24/a+0+0.avro',
  'topic=a/date=2026-11-24/a+0+00000000000000000000.avro.tmp',
  'topic=a/date=2026-11-24/a+0+00000000000000000000+0.avro',
  'topic=a/date=2026-11-24/a+0+00000000000000000000+01.avro',
  'topic=a/date=2026-11-24/a+0+00000000000000000000+.avro',
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
