import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { findWeaknesses } from './weak-secrets.ts'

const key = randomBytes(32).toString('base64url')
const namesOf = (settings: Parameters<typeof findWeaknesses>[0]) =>
  findWeaknesses(settings).map((weakness) => weakness.name)

test('random secrets have none', () => {
  const settings = {
    TOKEN_ENCRYPTION_KEYS: `a:${key},b:${randomBytes(32).toString('base64url')}`,
    DATABASE_URL: `postgres://u:${key}@h/d`,
    AWS_SECRET_ACCESS_KEY: key,
    KAFKA_SASL_MECHANISM: 'plain',
    KAFKA_SSL: 'true',
    SPOTIFY_CLIENT_SECRET: randomBytes(16).toString('hex'),
    DISCORD_WEBHOOK_URL: 'https://discord.com/api/webhooks/1/x',
  }
  expect(findWeaknesses(settings)).toEqual([])
  expect(findWeaknesses({})).toEqual([])
})

test.each<[string, Parameters<typeof findWeaknesses>[0]]>([
  ['TOKEN_ENCRYPTION_KEYS', { TOKEN_ENCRYPTION_KEYS: `a:${Buffer.alloc(32).toString('base64url')}` }],
  ['TOKEN_ENCRYPTION_KEYS', { TOKEN_ENCRYPTION_KEYS: `a:${key},a:${randomBytes(32).toString('base64url')}` }],
  ['DATABASE_URL', { DATABASE_URL: 'postgres://postgres:Postgres@h/d' }],
  ['DATABASE_URL', { DATABASE_URL: 'postgres://u@h/d' }],
  ['DATABASE_URL', { DATABASE_URL: 'postgres://u:short@h/d' }],
  ['AWS_SECRET_ACCESS_KEY', { AWS_SECRET_ACCESS_KEY: 'minioadmin' }],
  ['KAFKA_SASL_MECHANISM', { KAFKA_SASL_MECHANISM: 'plain' }],
  ['SPOTIFY_CLIENT_SECRET', { SPOTIFY_CLIENT_SECRET: 'simulated' }],
  ['DISCORD_WEBHOOK_URL', { DISCORD_WEBHOOK_URL: 'http://discord.com/api/webhooks/1/x' }],
])('%s: %j', (name, settings) => {
  expect(namesOf(settings)).toEqual([name])
  for (const secret of ['Postgres', 'short', 'minioadmin', key]) {
    expect(JSON.stringify(findWeaknesses(settings))).not.toContain(secret)
  }
})

test('a password with a percent sign that encodes nothing is no fault of ours', () => {
  expect(namesOf({ DATABASE_URL: 'postgres://u:100%safe-enough-word@h/d' })).toEqual([])
})

test("a simulator's secret is weak only at the real Spotify", () => {
  const settings = { SPOTIFY_CLIENT_SECRET: 'simulated', SPOTIFY_API_URL: 'http://127.0.0.1:1/v1' }
  expect(findWeaknesses(settings)).toEqual([])
})
