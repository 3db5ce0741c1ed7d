import { expect, test } from 'vitest'
import { toOutcome } from './answer.ts'

const cases: [
  name: string,
  status: number,
  headers: Record<string, string>,
  body: string,
  expected: object,
][] = [
  ['a saved message', 200, {}, '{"id":"1"}', { type: 'sent', holdMs: 0 }],
  [
    'an empty bucket',
    200,
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset-after': '1.25' },
    '{"id":"1"}',
    { type: 'sent', holdMs: 1_250 },
  ],
  [
    'a bucket with room',
    200,
    { 'x-ratelimit-remaining': '3', 'x-ratelimit-reset-after': '1.25' },
    '{"id":"1"}',
    { type: 'sent', holdMs: 0 },
  ],
  [
    '429 with float seconds',
    429,
    { 'retry-after': '65' },
    '{"retry_after":64.57}',
    { type: 'limited', retryAfterMs: 65_000 },
  ],
  [
    '429 of which the body asks for more',
    429,
    { 'retry-after': '1' },
    '{"retry_after":2.5}',
    { type: 'limited', retryAfterMs: 2_500 },
  ],
  ['429 as HTML', 429, { 'retry-after': '30' }, '<html>', { type: 'limited', retryAfterMs: 30_000 }],
  ['429 that says nothing', 429, {}, '', { type: 'limited', retryAfterMs: 60_000 }],
  [
    '429 of no time',
    429,
    { 'retry-after': '0' },
    '{"retry_after":0}',
    { type: 'limited', retryAfterMs: 1_000 },
  ],
  ['429 with nonsense', 429, { 'retry-after': 'soon' }, '[null', { type: 'limited', retryAfterMs: 60_000 }],
  ['an unknown webhook', 404, {}, '{"code":10015}', { type: 'dead', status: 404 }],
  ['a wrong token', 401, {}, '{"code":50027}', { type: 'dead', status: 401 }],
  ['an invalid message', 400, {}, '{"code":50035}', { type: 'refused', status: 400 }],
  ['a page of a proxy', 200, { 'content-type': 'text/html' }, '<html>', { type: 'away', retryAfterMs: null }],
  ['JSON of who knows whom', 200, { 'content-type': 'application/json' }, '{"ok":true}', { type: 'away' }],
  ['nothing at all', 200, {}, '', { type: 'away' }],
  [
    'the id of the channel',
    200,
    { 'content-type': 'application/json' },
    '{"id":"1","channel_id":"7"}',
    { type: 'sent', channelId: '7' },
  ],
  ['a forum without a thread', 400, {}, '{"code":220001}', { type: 'closed', code: 220_001 }],
  ['a forum that wants a tag', 400, {}, '{"code":40067}', { type: 'closed', status: 400 }],
  ['a thread that is gone', 404, {}, '{"code":10003}', { type: 'closed', code: 10_003 }],
  ['a 404 of who knows whom', 404, {}, '<html>', { type: 'dead', status: 404 }],
  ['a right that is missing', 403, {}, '{"message":"Missing Permissions","code":50013}', { type: 'closed' }],
  ['a ban', 403, {}, 'error code: 1015', { type: 'away', retryAfterMs: 300_000 }],
  ['a server error', 502, {}, '<html>', { type: 'away', retryAfterMs: null }],
  ['a redirect', 301, {}, '', { type: 'away', retryAfterMs: null }],
]

test.each(cases)('%s', (_, status, headers, body, expected) => {
  expect(toOutcome(status, headers, body)).toMatchObject(expected)
})
