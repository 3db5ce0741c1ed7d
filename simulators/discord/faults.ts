import { type Answer, type Delivery, html, json, text } from '../answer.ts'

export interface DiscordFaultEffect {
  answer?: Answer
  delivery?: Delivery
}

/** Discord's faults by name; the argument is the retry-after of those that have one. */
export const discordFaults = {
  rate_limited: (seconds) => ({ answer: rateLimited(seconds, { scope: 'user', global: false }) }),
  rate_limited_shared: (seconds) => ({ answer: rateLimited(seconds, { scope: 'shared', global: false }) }),
  rate_limited_global: (seconds) => ({ answer: rateLimited(seconds, { scope: 'global', global: true }) }),
  /** From the proxy before Discord: no JSON, so only the header has the wait. */
  rate_limited_html: (seconds) => ({ answer: html(429, blockedPage, retryAfter(seconds)) }),
  unknown_webhook: () => ({ answer: unknownWebhook }),
  invalid_token: () => ({ answer: invalidToken }),
  server_error: () => ({ answer: json(500, { message: '500: Internal Server Error', code: 0 }) }),
  bad_gateway_html: () => ({
    answer: html(502, '<html><head><title>502 Bad Gateway</title></head></html>\n'),
  }),
  service_unavailable: () => ({
    answer: text(503, 'upstream connect error or disconnect/reset before headers'),
  }),
  /** A forum whose posts need a tag. */
  tag_required: () => ({
    answer: json(400, { message: 'A tag is required to create a forum post in this channel', code: 40067 }),
  }),
  /** To the same webhook. */
  redirect: () => ({ answer: { status: 308, headers: { location: '?wait=true' }, body: '' } }),
  redirect_elsewhere: () => ({
    answer: { status: 308, headers: { location: 'https://discord.example/api/webhooks/1/x' }, body: '' },
  }),
  /** Status 200, and not from Discord. */
  ok_html: () => ({ answer: html(200, '<html><body>Please log in to this network</body></html>\n') }),
  hang: () => ({ delivery: 'hang' }),
  /** The message is posted, and the answer never arrives. */
  reset: () => ({ delivery: 'reset' }),
  cut_off: () => ({ delivery: 'cut_off' }),
  truncated_json: () => ({ delivery: 'truncated' }),
  slow_body: () => ({ delivery: 'slow' }),
} satisfies Record<string, (retryAfterSeconds: number) => DiscordFaultEffect>

export type DiscordFaultName = keyof typeof discordFaults

export function isDiscordFaultName(name: string): name is DiscordFaultName {
  return Object.hasOwn(discordFaults, name)
}

export const unknownWebhook: Answer = json(404, { message: 'Unknown Webhook', code: 10015 })
export const invalidToken: Answer = json(401, { message: 'Invalid Webhook Token', code: 50027 })

/** The body's seconds are a float, the header's whole. */
export function rateLimited(
  seconds: number,
  kind: { scope: 'user' | 'shared' | 'global'; global: boolean },
): Answer {
  const body = {
    message: 'You are being rate limited.',
    retry_after: Number(seconds.toFixed(3)),
    global: kind.global,
  }
  return json(429, body, {
    ...retryAfter(seconds),
    'x-ratelimit-scope': kind.scope,
    ...(kind.global && { 'x-ratelimit-global': 'true' }),
  })
}

function retryAfter(seconds: number): Record<string, string> {
  return { 'retry-after': String(Math.max(1, Math.ceil(seconds))) }
}

const blockedPage =
  '<!doctype html><html lang="en"><head><title>Access denied | discord.com used Cloudflare to restrict access' +
  '</title></head><body><h1>Error 1015</h1><p>You are being rate limited</p></body></html>\n'
