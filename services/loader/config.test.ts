import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../lib/config.ts'
import { readConfig } from './config.ts'

const env = {
  KAFKA_BROKERS: '127.0.0.1:9092',
  SCHEMA_REGISTRY_URL: 'http://127.0.0.1:8080/apis/ccompat/v7',
  DATABASE_URL: 'postgres://user:password@127.0.0.1/db',
}

describe('the configuration', () => {
  test('has a default for everything but the addresses', () => {
    expect(readConfig(env)).toMatchObject({ batchPages: 100, sweepMs: 300_000, wantsFeatures: true })
  })

  test('asks for no audio features when nobody provides them', () => {
    expect(readConfig({ ...env, AUDIO_FEATURES_PROVIDER: 'none' }).wantsFeatures).toBe(false)
  })

  test('tells all its faults at once', () => {
    const read = () => readConfig({ LOADER_BATCH_PAGES: '0', AUDIO_FEATURES_PROVIDER: 'someone' })
    expect(read).toThrow(ConfigError)
    expect(read).toThrow(/KAFKA_BROKERS.*DATABASE_URL.*AUDIO_FEATURES_PROVIDER.*LOADER_BATCH_PAGES/s)
  })
})
