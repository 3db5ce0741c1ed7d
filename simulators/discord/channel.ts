import { createBuckets, type Window } from './buckets.ts'
import { type DiscordFaultEffect, type DiscordFaultName, discordFaults } from './faults.ts'
import type { WebhookMessage } from './message.ts'

export interface DiscordSimulatorOptions {
  /** Default 127.0.0.1. */
  host: string
  /** Default 0: any free port. */
  port: number
  webhookId: string
  webhookToken: string
  /** Default 5 per 2 s: shown in the headers. */
  bucket: Window
  /** Default 30 per minute: no header shows it before it is exceeded. */
  channel: Window
  /** How many messages to keep. Default 1,000. */
  keepMessages: number
  hangMs: number
  slowBodyMs: number
}

export const discordDefaults: DiscordSimulatorOptions = {
  host: '127.0.0.1',
  port: 0,
  webhookId: '1180000000000000001',
  webhookToken: 'simulated-webhook-token-simulated-webhook-token-simulated-webhook-01',
  bucket: { limit: 5, lengthMs: 2_000 },
  channel: { limit: 30, lengthMs: 60_000 },
  keepMessages: 1_000,
  hangMs: 60_000,
  slowBodyMs: 2_000,
}

export interface PostedMessage extends WebhookMessage {
  id: string
  /** Of the thread, or of the channel itself. */
  channelId: string
  /** Unix ms. */
  at: number
}

export interface DiscordFaultScript {
  fault: DiscordFaultName
  count?: number
  /** Default 1.5. */
  retryAfterSeconds?: number
}

/** The state behind one webhook. */
export interface Channel {
  options: DiscordSimulatorOptions
  messages: PostedMessage[]
  answers: Record<string, number>
  scripts: { script: DiscordFaultScript; left: number }[]
  deleted: boolean
  /** What the webhook posts to. */
  kind: 'text' | 'forum'
  /** Threads of a forum: name by id. */
  threads: Map<string, string>
  /** Messages with this text are refused, as by Discord's own moderation; null refuses none. */
  blocked: string | null
  bucket: ReturnType<typeof createBuckets>
  channelBucket: ReturnType<typeof createBuckets>
  posted: number
}

export function createChannel(options: Partial<DiscordSimulatorOptions>): Channel {
  const settings = { ...discordDefaults, ...options }
  return {
    options: settings,
    messages: [],
    answers: {},
    scripts: [],
    deleted: false,
    kind: 'text',
    threads: new Map(),
    blocked: null,
    bucket: createBuckets(settings.bucket),
    channelBucket: createBuckets(settings.channel),
    posted: 0,
  }
}

export const channelId = '1180000000000000002'

/** Posts a message into the channel, or into a thread of it. */
export function keep(
  channel: Channel,
  message: WebhookMessage,
  { threadId, now }: { threadId: string | null; now: number },
): PostedMessage {
  channel.posted += 1
  const id = String(1_190_000_000_000_000_000n + BigInt(channel.posted))
  const posted = { ...message, id, channelId: threadId ?? channelId, at: now }
  channel.messages.push(posted)
  if (channel.messages.length > channel.options.keepMessages) channel.messages.shift()
  return posted
}

/** Opens a thread in a forum. */
export function openThread(channel: Channel, name: string): string {
  const id = String(1_185_000_000_000_000_000n + BigInt(channel.posted))
  channel.threads.set(id, name)
  return id
}

/** The fault of the oldest script that is not used up, or null. */
export function nextFault(channel: Channel): DiscordFaultEffect | null {
  const next = channel.scripts[0]
  if (next === undefined) return null
  next.left -= 1
  if (next.left <= 0) channel.scripts.shift()
  return discordFaults[next.script.fault](next.script.retryAfterSeconds ?? 1.5)
}
