import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { scrub } from '../../lib/log.ts'
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

test.each([
  'https://discord.com/api/webhooks/123/s3cr3t-_1',
  'https://discord.com/api/v10/webhooks/123/s3cr3t-_1/',
  'https://discord.com/webhooks/123/s3cr3t-_1?thread_id=5',
  'http://proxy.example:8080/discord/webhooks/123/s3cr3t-_1#x',
  ' https:\\\\discord.com\\api\\webhooks\\123\\s3cr3t-_1 ',
  'https://discord.com/api/web\nhooks/123/s3cr\n3t-_1',
])('an accepted webhook never shows in a text that was scrubbed: %j', (webhook) => {
  const secret = readConfig({ ...kafka, DISCORD_WEBHOOK_URL: webhook }).webhook?.reveal() ?? ''
  expect(secret).toContain('s3cr3t-_1')
  expect(scrub(`connect to ${secret} failed`)).not.toContain('s3cr3t')
  expect(scrub(`connect to ${new URL(secret).pathname} failed`)).not.toContain('s3cr3t')
})
