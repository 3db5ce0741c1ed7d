import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { readConfig } from './config.ts'

const kafka = { KAFKA_BROKERS: 'b:9092', SCHEMA_REGISTRY_URL: 'http://r:1' }
const url = 'https://discord.com/api/webhooks/123/tok-en_1?thread_id=5'

test('the webhook is optional and never shown', () => {
  expect(readConfig(kafka).webhook).toBeNull()
  const config = readConfig({ ...kafka, DISCORD_WEBHOOK_URL: url })
  expect(config.webhook?.reveal()).toBe(url)
  expect(inspect(config)).not.toContain('tok-en_1')
})

test('a webhook that is none is a fault, told without showing it', () => {
  for (const wrong of [
    'https://discord.com/channels/1/s3cr3t',
    's3cr3t',
    'ftp://discord.com/api/webhooks/1/s3cr3t',
  ]) {
    const read = () => readConfig({ ...kafka, DISCORD_WEBHOOK_URL: wrong, ALERT_DIGEST_SECONDS: '0' })
    expect(read).toThrow(/DISCORD_WEBHOOK_URL: must be.*\n.*ALERT_DIGEST_SECONDS/)
    expect(read).not.toThrow(/s3cr3t/)
  }
})
