import { describe, expect, test } from 'vitest'
import type { CallKind } from '../../lib/spotify/classify.ts'
import { classify } from '../../lib/spotify/classify.ts'
import type { Answer } from '../../lib/spotify/http-answer.ts'
import { toLooked as fromReccobeats } from './reccobeats-lookup.ts'
import { toLooked as fromSpotify } from './spotify-lookup.ts'

function answer(kind: CallKind, status: number, body: string): Answer {
  const bytes = Buffer.from(body)
  const outcome = classify(kind, { status, headers: {}, body: bytes })
  return { outcome, status, body: bytes, fetchedAt: 9, serverDate: null }
}

/** Status and body of each answered id, or the kind of result. */
function shape(looked: ReturnType<typeof fromSpotify>) {
  if (looked.type !== 'answers') return looked.type
  return Object.fromEntries([...looked.answers].map(([id, a]) => [id, `${a.status} ${a.body}`]))
}

describe('Spotify', () => {
  const notFound = '{"error":{"status":404,"message":"Resource not found"}}'
  const cases: [name: string, ids: string[], status: number, body: string, expected: unknown][] = [
    ['one entity, as received', ['a'], 200, '{ "id":"a" }', { a: '200 { "id":"a" }' }],
    ['one that does not exist', ['a'], 404, notFound, { a: `404 ${notFound}` }],
    ['one invalid id', ['a'], 400, '{"error":{"status":400}}', { a: '400 {"error":{"status":400}}' }],
    [
      'a batch with null in place',
      ['a', 'b'],
      200,
      '{"artists":[null,{"id":"x"}]}',
      { a: '404 null', b: '200 {"id":"x"}' },
    ],
    ['a batch of another length', ['a', 'b'], 200, '{"artists":[{"id":"b"}]}', {}],
    ['a batch without its list', ['a', 'b'], 200, '{"tracks":[1,2]}', {}],
    ['a batch that an invalid id spoils', ['a', 'b'], 400, '{"error":{"status":400}}', {}],
    ['a gated batch', ['a', 'b'], 403, '{"error":{"status":403,"message":"Forbidden"}}', 'gated'],
    ['a gated entity without a message', ['a'], 403, '{"error":{"status":403}}', 'gated'],
    ['a wrong path', ['a'], 404, '{"error":{"status":404,"message":"Service not found"}}', 'failed'],
    ["a proxy's 404", ['a'], 404, '<html>nothing here</html>', 'failed'],
    ['404 of a batch', ['a', 'b'], 404, notFound, 'failed'],
    ['a truncated body', ['a'], 200, '{"id":"a', 'failed'],
    ['HTML', ['a'], 200, '<html>', 'failed'],
    ['a server error', ['a'], 502, '', 'failed'],
    [
      'a missing Premium',
      ['a'],
      403,
      'Active premium subscription required for the owner of the app.',
      'failed',
    ],
  ]
  test.each(cases)('%s', (_, ids, status, body, expected) => {
    expect(
      shape(fromSpotify('artist', ids, answer(ids.length > 1 ? 'batch' : 'entity', status, body))),
    ).toEqual(expected)
  })
})

test.each([
  '',
  'User not approved for app',
  'Insufficient client scope',
  'words that nobody ever used',
  '<html>',
])('a 403 for audio features is gated, whatever its text: %j', (message) => {
  const body = JSON.stringify({ error: { status: 403, message } })
  for (const text of [body, message]) {
    for (const ids of [['a'], ['a', 'b']]) {
      expect(
        shape(fromSpotify('audio-features', ids, answer(ids.length > 1 ? 'batch' : 'entity', 403, text))),
      ).toBe('gated')
    }
  }
})

test('a missing Premium says nothing about audio features', () => {
  const body = 'Active premium subscription required for the owner of the app.'
  expect(shape(fromSpotify('audio-features', ['a'], answer('entity', 403, body)))).toBe('failed')
})

describe('ReccoBeats', () => {
  const entity = (href: string) => `{"id":"uuid", "href":"${href}"}`
  const cases: [name: string, ids: string[], status: number, body: string, expected: unknown][] = [
    [
      'maps by the end of href, in any order, and what is left out is a 404',
      ['a', 'b', 'c'],
      200,
      `{"content":[${entity('https://open.spotify.com/track/c')},${entity('https://x/track/a?si=1')}]}`,
      {
        a: `200 ${entity('https://x/track/a?si=1')}`,
        b: '404 ',
        c: `200 ${entity('https://open.spotify.com/track/c')}`,
      },
    ],
    [
      'takes no entity that was not asked for',
      ['a'],
      200,
      `{"content":[${entity('https://x/z')},{"id":1},null]}`,
      { a: '404 ' },
    ],
    [
      'takes the first of two',
      ['a'],
      200,
      `{"content":[${entity('https://x/a')},${entity('https://y/a')}]}`,
      { a: `200 ${entity('https://x/a')}` },
    ],
    ['knows none', ['a'], 200, '{"content":[]}', { a: '404 ' }],
    ['answers in another form', ['a'], 200, '{"error":"x"}', 'failed'],
    ['refuses a batch', ['a', 'b'], 400, '{"error":"x"}', {}],
    ['refuses one id', ['a'], 400, '{"error":"x"}', { a: '400 {"error":"x"}' }],
    ['is at another address', ['a'], 404, '{"error":"x"}', 'failed'],
    ['is away', ['a'], 503, '', 'failed'],
  ]
  test.each(cases)('%s', (_, ids, status, body, expected) => {
    expect(shape(fromReccobeats(ids, answer('batch', status, body)))).toEqual(expected)
  })
})
