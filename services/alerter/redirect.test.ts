import { expect, test } from 'vitest'
import { toRedirect } from './redirect.ts'

const webhook = 'https://discord.com/api/webhooks/1/s3cr3t'
const redirect = (location: string, from = webhook, status = 308) =>
  toRedirect(new URL(from), { status, headers: { location } })

test.each([
  ['/api/v10/webhooks/1/s3cr3t', webhook],
  ['https://canary.discord.com/api/webhooks/1/s3cr3t', webhook],
  ['https://discord.com/api/webhooks/1/s3cr3t', 'https://discordapp.com/api/webhooks/1/s3cr3t'],
])('to %s is followed', (location, from) => {
  expect(redirect(location, from)).toMatchObject({ type: 'follow', to: new URL(location, from) })
})

test.each([
  'https://evil.example/api/webhooks/1/s3cr3t',
  'https://discord.com.evil.example/x',
  'https://evildiscord.com/x',
  'http://discord.com/api/webhooks/1/s3cr3t',
  '//evil.example/s3cr3t',
])('to %s is named without the token, and not followed', (location) => {
  const found = redirect(location)
  expect(found).toMatchObject({ type: 'elsewhere', host: new URL(location, webhook).host })
  expect(JSON.stringify(found)).not.toContain('s3cr3t')
})

test('without an address is named', () => {
  expect(toRedirect(new URL(webhook), { status: 302, headers: {} })).toMatchObject({ type: 'elsewhere' })
  expect(redirect('http://[', webhook)).toMatchObject({ type: 'elsewhere' })
})

test('any other answer is none', () => {
  expect(redirect('https://discord.com/', webhook, 200)).toBeNull()
  expect(redirect('https://discord.com/', webhook, 404)).toBeNull()
})
