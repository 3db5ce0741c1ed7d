import { expect, test } from 'vitest'
import type { ValueRecord } from '../../lib/kafka/record.ts'
import type { MetadataRequest } from '../../lib/topology.ts'
import { checkRequest } from './wanted.ts'

const id = '4uLU6hMCjMI75M1A2tKUQC'

function record(
  kind: string,
  wantedId: string,
  key: string | null = `${kind}:${wantedId}`,
): ValueRecord<MetadataRequest> {
  return {
    topic: 'metadata.wanted',
    partition: 0,
    offset: 0,
    timestamp: 0,
    key: key === null ? null : Buffer.from(key),
    headers: [],
    bytes: Buffer.alloc(0),
    value: { kind, id: wantedId, requestedAt: 7 },
  }
}

test.each(['track', 'artist', 'audio-features'])('a request for a %s can be asked', (kind) => {
  expect(checkRequest(record(kind, id))).toEqual({
    type: 'wanted',
    wanted: { kind, id, key: `${kind}:${id}`, requestedAt: 7 },
  })
})

const wrong: [kind: string, id: string, key: string | null | undefined, reason: string][] = [
  ['album', id, undefined, 'unknown_kind'],
  ['constructor', id, undefined, 'unknown_kind'],
  ['track', '', undefined, 'invalid_record'],
  ['track', `${id}x`, undefined, 'invalid_record'],
  ['track', '../me/player/recently-x', undefined, 'invalid_record'],
  ['track', `${id}\n`, undefined, 'invalid_record'],
  ['track', id, 'artist:x', 'invalid_key'],
  ['track', id, null, 'invalid_key'],
]

test.each(wrong)('%s %j with key %j is a dead letter', (kind, wantedId, key, reason) => {
  const checked = checkRequest(key === undefined ? record(kind, wantedId) : record(kind, wantedId, key))
  expect(checked).toMatchObject({ type: 'dead-letter', reason })
})

test.each([-1, 8.65e15, Number.NaN])(
  'a request of the time %d is a dead letter: the database could not compare it',
  (at) => {
    const odd = record('track', id)
    expect(checkRequest({ ...odd, value: { ...odd.value, requestedAt: at } })).toMatchObject({
      reason: 'invalid_record',
    })
  },
)
