import { expect, test } from 'vitest'
import { readConfig } from './config.ts'

const env = {
  KAFKA_BROKERS: 'localhost:9092',
  SCHEMA_REGISTRY_URL: 'http://localhost:8080/apis/ccompat/v7',
  S3_BUCKET: 'songswap',
}

test('objects close at 64 MiB or five minutes unless told otherwise', () => {
  expect(readConfig(env)).toMatchObject({ objectBytes: 67_108_864, objectAgeMs: 300_000 })
})

test.each(['ARCHIVE_OBJECT_AGE', 'ARCHIVE_OBJECT_AGE_SECONDS'])('%s is in seconds', (name) => {
  expect(readConfig({ ...env, [name]: '7' }).objectAgeMs).toBe(7000)
})

test('every fault is told at once', () => {
  const faulty = { ARCHIVE_OBJECT_BYTES: '0', ARCHIVE_OBJECT_AGE: '5 min' }
  const names = ['KAFKA_BROKERS', 'SCHEMA_REGISTRY_URL', 'S3_BUCKET', ...Object.keys(faulty)]
  for (const name of names) expect(() => readConfig(faulty)).toThrow(`${name}: `)
})
