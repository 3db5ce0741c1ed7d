import { expect, test } from 'vitest'
import { readConfig } from './config.ts'

const env = {
  KAFKA_BROKERS: 'b:9092',
  SCHEMA_REGISTRY_URL: 'http://r:1',
  DATABASE_URL: 'postgres://u:p@h/d',
  SPOTIFY_CLIENT_ID: 'id',
  SPOTIFY_CLIENT_SECRET: 's3cr3t',
}

test('has the defaults that the documentation names', () => {
  expect(readConfig(env)).toMatchObject({
    reccobeatsUrl: 'https://api.reccobeats.com',
    featuresProvider: 'auto',
    lingerMs: 2_000,
    deferMs: 600_000,
    probeAgainMs: 7 * 24 * 3_600_000,
  })
})

test('tells all faults at once', () => {
  const read = () =>
    readConfig({ ...env, AUDIO_FEATURES_PROVIDER: 'deezer', RECCOBEATS_URL: 'x', SPOTIFY_CLIENT_ID: '' })
  expect(read).toThrow(/3 faults/)
  expect(read).toThrow(/AUDIO_FEATURES_PROVIDER: must be auto, spotify, reccobeats or none/)
})
