import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ArchiveKey } from './key.ts'
import { archiveDate, parseObjectKey } from './key.ts'
import { entryKey, indexPrefix, parseEntryKey, userOf } from './user-index.ts'

const keys: fc.Arbitrary<ArchiveKey> = fc.record(
  {
    topic: fc.constantFrom('spotify.recently-played', 'staging.spotify.recently-played'),
    partition: fc.nat(999),
    firstOffset: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    date: fc.date({ noInvalidDate: true }).map((d) => archiveDate(d.getTime())),
    incarnation: fc.integer({ min: 1, max: 99 }),
  },
  { requiredKeys: ['topic', 'partition', 'firstOffset', 'date'] },
)
const etags = fc.string({ minLength: 1, unit: 'binary' })

test('an entry names its object, and is no object itself', () => {
  fc.assert(
    fc.property(keys, etags, fc.constantFrom('', 'raw', 'a/b'), (key, etag, prefix) => {
      const path = entryKey(prefix, key, etag)
      expect(path.startsWith(indexPrefix(prefix, key.topic))).toBe(true)
      expect(parseEntryKey(prefix, key.topic, path)).toEqual(key)
      expect(parseObjectKey(path)).toBeNull()
    }),
  )
})

test('another version of an object has another entry', () => {
  const key = { topic: 't', partition: 0, firstOffset: 0, date: '2026-11-24' }
  expect(entryKey('', key, 'a')).not.toBe(entryKey('', key, 'b'))
})

test.each([
  ['7', '7'],
  ['123456789012345678', '123456789012345678'],
  ['07', null],
  ['', null],
  ['track:7', null],
  ['1234567890123456789', null],
])('the key "%s" names the user %s', (text, user) => {
  expect(userOf(Buffer.from(text))).toBe(user)
})

test('no key, and bytes that are no text, name nobody', () => {
  expect([userOf(null), userOf(Buffer.from([0xff, 0x37]))]).toEqual([null, null])
})
