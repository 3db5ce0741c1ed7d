import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { type Answer, type Delivery, json, send } from '../answer.ts'
import { hash32 } from '../random.ts'
import type { Reading } from './buckets.ts'
import {
  type Channel,
  channelId,
  type DiscordSimulatorOptions,
  keep,
  nextFault,
  type PostedMessage,
} from './channel.ts'
import { invalidToken, rateLimited, unknownWebhook } from './faults.ts'
import { checkMessage, toErrorBody } from './message.ts'
import { toPlace } from './place.ts'

/** discord.com/api/webhooks: read a webhook, post through it. */
export function webhookRoutes(app: FastifyInstance, channel: Channel): void {
  app.get('/api/webhooks/:id/:token', (request, reply) => {
    const answer = toRefusal(channel, request) ?? json(200, toWebhook(channel.options))
    return respond(channel, { request, reply }, { answer })
  })
  app.post('/api/webhooks/:id/:token', (request, reply) => {
    const effect = nextFault(channel)
    if (effect?.answer) return respond(channel, { request, reply }, { answer: effect.answer })
    const answer = toRefusal(channel, request) ?? post(channel, request)
    return respond(
      channel,
      { request, reply },
      { answer, ...(effect?.delivery && { delivery: effect.delivery }) },
    )
  })
}

function post(channel: Channel, request: FastifyRequest): Answer {
  const now = Date.now()
  const reading = channel.bucket.take('webhook', now)
  const headers = toBucketHeaders(channel, reading, now)
  if (!reading.allowed) {
    return withHeaders(rateLimited(reading.resetAfterMs / 1000, { scope: 'user', global: false }), headers)
  }
  const checked = checkMessage(request.body)
  if (checked.type === 'invalid') return json(400, toErrorBody(checked.violations), headers)
  if (checked.type === 'empty')
    return json(400, { message: 'Cannot send an empty message', code: 50006 }, headers)
  if (channel.blocked !== null && JSON.stringify(request.body).includes(channel.blocked)) {
    return json(400, { message: 'Message was blocked by automatic moderation', code: 200_000 }, headers)
  }
  const channelReading = channel.channelBucket.take('channel', now)
  if (!channelReading.allowed) {
    return rateLimited(channelReading.resetAfterMs / 1000, { scope: 'shared', global: false })
  }
  const place = toPlace(channel, request)
  if (place.type === 'refused') return withHeaders(place.answer, headers)
  const posted = keep(channel, checked.message, { threadId: place.threadId, now })
  const { wait } = z.object({ wait: z.string().optional() }).parse(request.query)
  if (wait !== 'true') return { status: 204, headers, body: '' }
  return json(200, toMessageObject(channel.options, posted), headers)
}

function respond(
  channel: Channel,
  http: { request: FastifyRequest; reply: FastifyReply },
  result: { answer: Answer; delivery?: Delivery },
): FastifyReply {
  const key = `${http.request.method} ${result.answer.status}`
  channel.answers[key] = (channel.answers[key] ?? 0) + 1
  return send(http.reply, result.answer, { delivery: result.delivery ?? 'whole', times: channel.options })
}

function toRefusal(channel: Channel, request: FastifyRequest): Answer | null {
  const { id, token } = z.object({ id: z.string(), token: z.string() }).parse(request.params)
  if (id !== channel.options.webhookId || channel.deleted) return unknownWebhook
  return token === channel.options.webhookToken ? null : invalidToken
}

function toBucketHeaders(channel: Channel, reading: Reading, now: number): Record<string, string> {
  return {
    'x-ratelimit-limit': String(channel.options.bucket.limit),
    'x-ratelimit-remaining': String(reading.remaining),
    'x-ratelimit-reset': ((now + reading.resetAfterMs) / 1000).toFixed(3),
    'x-ratelimit-reset-after': (reading.resetAfterMs / 1000).toFixed(3),
    'x-ratelimit-bucket': hash32(Number(channel.options.webhookId.slice(-9)))
      .toString(16)
      .padStart(32, '0'),
  }
}

function withHeaders(answer: Answer, headers: Record<string, string>): Answer {
  return { ...answer, headers: { ...answer.headers, ...headers } }
}

function toWebhook({ webhookId, webhookToken }: DiscordSimulatorOptions) {
  return {
    application_id: null,
    avatar: null,
    channel_id: channelId,
    guild_id: '1180000000000000003',
    id: webhookId,
    name: 'songswap-stream',
    token: webhookToken,
    type: 1,
    url: `https://discord.com/api/webhooks/${webhookId}/${webhookToken}`,
  }
}

function toMessageObject({ webhookId }: DiscordSimulatorOptions, message: PostedMessage) {
  return {
    type: 0,
    content: message.content,
    mentions: [],
    mention_everyone: message.pings.includes('everyone') && /@(everyone|here)/.test(message.content),
    attachments: [],
    embeds: message.embeds.map(({ footer, author, ...embed }) => ({
      type: 'rich',
      ...embed,
      ...(footer !== undefined && { footer: { text: footer } }),
      ...(author !== undefined && { author: { name: author } }),
    })),
    timestamp: new Date(message.at).toISOString(),
    id: message.id,
    channel_id: message.channelId,
    author: {
      id: webhookId,
      username: message.username ?? 'songswap-stream',
      bot: true,
      discriminator: '0000',
    },
    webhook_id: webhookId,
  }
}
