import { expect, test } from 'vitest'
import { ConfigError } from '../../lib/config.ts'
import { readConfig } from './config.ts'

const env = {
  KAFKA_BROKERS: '127.0.0.1:9092',
  SCHEMA_REGISTRY_URL: 'http://127.0.0.1:8080',
  DATABASE_URL: 'postgres://u:p@127.0.0.1/d',
  SPOTIFY_CLIENT_ID: 'id',
  SPOTIFY_CLIENT_SECRET: 'secret',
  TOKEN_ENCRYPTION_KEYS: `a:${Buffer.alloc(32).toString('base64url')}`,
}

const faultsOf = (more: Record<string, string>) => {
  try {
    readConfig({ ...env, ...more })
  } catch (error) {
    return error instanceof ConfigError ? error.faults : error
  }
  return []
}

test('the defaults fit the pessimistic budget of 600 requests a day', () => {
  const { poll, spotify } = readConfig(env)
  expect(spotify.dailyRequests).toBe(600)
  expect(poll).toEqual({
    minIntervalMs: 60_000,
    maxIntervalMs: 1_200_000,
    leaseMs: 60_000,
    concurrency: 4,
    idleMs: 5_000,
  })
})

test('intervals that contradict each other, and a lease that a poll can outlive, are faults told together', () => {
  const more = { POLL_MIN_INTERVAL_SECONDS: '60', POLL_MAX_INTERVAL_SECONDS: '30', POLL_LEASE_SECONDS: '20' }
  expect(faultsOf(more)).toEqual([
    'POLL_MAX_INTERVAL_SECONDS: must not be below POLL_MIN_INTERVAL_SECONDS',
    'POLL_LEASE_SECONDS: must be at least 4 times SPOTIFY_TIMEOUT_SECONDS',
  ])
})

test('what is missing is named', () => {
  expect(faultsOf({ TOKEN_ENCRYPTION_KEYS: '', SPOTIFY_CLIENT_ID: '' })).toEqual([
    'SPOTIFY_CLIENT_ID: is missing',
    'TOKEN_ENCRYPTION_KEYS: is missing',
  ])
})
