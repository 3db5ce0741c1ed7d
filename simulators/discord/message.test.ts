import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkMessage, toErrorBody } from './message.ts'

const x = (length: number) => 'x'.repeat(length)
const field = (name: string, value: string) => ({ name, value })

test.each([
  ['content', { content: x(2_000) }, { content: x(2_001) }],
  ['embeds', { embeds: Array(10).fill({ title: 'a' }) }, { embeds: Array(11).fill({ title: 'a' }) }],
  ['embeds.0.title', { embeds: [{ title: x(256) }] }, { embeds: [{ title: x(257) }] }],
  ['embeds.0.description', { embeds: [{ description: x(4_096) }] }, { embeds: [{ description: x(4_097) }] }],
  [
    'embeds.0.fields',
    { embeds: [{ fields: Array(25).fill(field('a', 'b')) }] },
    { embeds: [{ fields: Array(26).fill(field('a', 'b')) }] },
  ],
  [
    'embeds.0.fields.0.name',
    { embeds: [{ fields: [field(x(256), 'b')] }] },
    { embeds: [{ fields: [field(x(257), 'b')] }] },
  ],
  [
    'embeds.0.fields.0.value',
    { embeds: [{ fields: [field('a', x(1_024))] }] },
    { embeds: [{ fields: [field('a', x(1_025))] }] },
  ],
  [
    'embeds.0.footer.text',
    { embeds: [{ footer: { text: x(2_048) } }] },
    { embeds: [{ footer: { text: x(2_049) } }] },
  ],
  [
    'embeds.0.author.name',
    { embeds: [{ author: { name: x(256) } }] },
    { embeds: [{ author: { name: x(257) } }] },
  ],
  [
    'embeds',
    { embeds: [{ description: x(4_000) }, { description: x(2_000) }] },
    { embeds: [{ description: x(4_000) }, { description: x(2_001) }] },
  ],
  [
    'embeds.0.color',
    { embeds: [{ title: 'a', color: 0xffffff }] },
    { embeds: [{ title: 'a', color: '16711680' }] },
  ],
  ['embeds.0.color', { embeds: [{ title: 'a', color: 0 }] }, { embeds: [{ title: 'a', color: 0x1000000 }] }],
  [
    'embeds.0.url',
    { embeds: [{ title: 'a', url: 'https://a.example' }] },
    { embeds: [{ title: 'a', url: 'a.example' }] },
  ],
  [
    'embeds.0.timestamp',
    { embeds: [{ title: 'a', timestamp: '2026-11-24T00:00:00Z' }] },
    { embeds: [{ title: 'a', timestamp: 'today' }] },
  ],
  [
    'embeds.0.fields.0.value',
    { embeds: [{ fields: [field('a', 'b')] }] },
    { embeds: [{ fields: [field('a', ' ')] }] },
  ],
  [
    'allowed_mentions.parse',
    { content: 'a', allowed_mentions: { parse: [] } },
    { content: 'a', allowed_mentions: { parse: ['all'] } },
  ],
  ['username', { content: 'a', username: x(80) }, { content: 'a', username: x(81) }],
])('the limit of %s is exact', (path, fits, exceeds) => {
  expect(checkMessage(fits).type).toBe('message')
  const result = checkMessage(exceeds)
  expect(result.type === 'invalid' && result.violations.map((violation) => violation.path)).toContain(path)
})

test('white space is trimmed before it is counted, and alone is an empty message', () => {
  expect(checkMessage({ content: ` ${x(2_000)} ` }).type).toBe('message')
  for (const body of [{}, { content: ' ' }, { embeds: [] }, { embeds: [{}] }, { content: null }]) {
    expect(checkMessage(body).type).toBe('empty')
  }
})

test('users are pinged unless the message says otherwise', () => {
  expect(checkMessage({ content: 'a' })).toMatchObject({ message: { pings: ['users'] } })
  expect(checkMessage({ content: 'a', allowed_mentions: { parse: [] } })).toMatchObject({
    message: { pings: [] },
  })
})

test('any body at all is checked without an exception, and its errors have their places', () => {
  fc.assert(
    fc.property(fc.anything(), (body) => {
      const result = checkMessage(body)
      if (result.type === 'invalid') expect(toErrorBody(result.violations)).toHaveProperty('code', 50035)
    }),
  )
  const result = checkMessage({ embeds: [{ title: 'a' }, { title: x(300), fields: 'none' }] })
  expect(result.type === 'invalid' && toErrorBody(result.violations)).toMatchObject({
    errors: {
      embeds: {
        1: {
          title: { _errors: [{ code: 'BASE_TYPE_MAX_LENGTH', message: 'Must be 256 or fewer in length.' }] },
          fields: { _errors: [{ code: 'LIST_TYPE_CONVERT' }] },
        },
      },
    },
  })
})
