import { z } from 'zod'
import type { Env, KafkaConfig, ServiceConfig } from '../../lib/config.ts'
import {
  kafkaConfig,
  kafkaEnv,
  parseEnv,
  pollingEnv,
  postgresEnv,
  serviceConfig,
  serviceEnv,
  wholeNumber,
} from '../../lib/config.ts'
import type { PollingConfig } from '../../lib/polling/rules.ts'
import { toPollingConfig } from '../../lib/polling/rules.ts'
import { Secret } from '../../lib/secret.ts'
import type { LagRules } from './evaluate.ts'

export interface AlerterConfig extends ServiceConfig {
  kafka: KafkaConfig
  /** null: what was raised of the groups is forgotten at a restart, and nobody looks whether users are polled. */
  databaseUrl: Secret | null
  /** null: alerts go to the log only. */
  webhook: Secret | null
  /** How long the rest of a kind is collected before it is posted in one message. */
  digestMs: number
  /** A kind that was silent for so long is told at once again. */
  quietMs: number
  messagesPerMinute: number
  postTimeoutMs: number
  lagIntervalMs: number
  lag: LagRules
  polling: PollingConfig
}

const webhookUrl = z
  .string()
  .refine(
    (v) =>
      URL.canParse(v) &&
      /^https?:$/.test(new URL(v).protocol) &&
      /\/webhooks\/\d+\/[\w-]+\/?$/.test(new URL(v).pathname),
    'must be the address of a Discord webhook: https://discord.com/api/webhooks/ID/TOKEN',
  )
  // As an address shows in errors: without the line feeds and backslashes that it may be written with.
  .transform((v) => new Secret(new URL(v).href))

/** Setting of whoever talks to Discord. */
export const webhookEnv = { DISCORD_WEBHOOK_URL: webhookUrl.optional() }

const env = {
  ...serviceEnv,
  ...kafkaEnv,
  DATABASE_URL: postgresEnv.DATABASE_URL.optional(),
  DISCORD_WEBHOOK_URL: webhookEnv.DISCORD_WEBHOOK_URL,
  ALERT_DIGEST_SECONDS: wholeNumber(1, 86_400).default(300),
  ALERT_QUIET_SECONDS: wholeNumber(1).default(3_600),
  // Discord takes 30 a minute and channel, and does not say so before it refuses.
  ALERT_MESSAGES_PER_MINUTE: wholeNumber(1, 30).default(25),
  // A stop waits for the post in hand.
  ALERT_POST_TIMEOUT_SECONDS: wholeNumber(1, 60).default(5),
  ALERT_LAG_INTERVAL_SECONDS: wholeNumber(1).default(30),
  ALERT_DOWN_SECONDS: wholeNumber(1).default(120),
  ...pollingEnv,
}

/** @throws ConfigError naming every fault */
export function readConfig(source: Env): AlerterConfig {
  const e = parseEnv(env, source)
  return {
    ...serviceConfig(e),
    kafka: kafkaConfig(e),
    databaseUrl: e.DATABASE_URL ?? null,
    webhook: e.DISCORD_WEBHOOK_URL ?? null,
    digestMs: e.ALERT_DIGEST_SECONDS * 1000,
    quietMs: e.ALERT_QUIET_SECONDS * 1000,
    messagesPerMinute: e.ALERT_MESSAGES_PER_MINUTE,
    postTimeoutMs: e.ALERT_POST_TIMEOUT_SECONDS * 1000,
    lagIntervalMs: e.ALERT_LAG_INTERVAL_SECONDS * 1000,
    lag: { downMs: e.ALERT_DOWN_SECONDS * 1000 },
    polling: toPollingConfig(e),
  }
}
