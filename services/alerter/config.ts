import { z } from 'zod'
import type { Env } from '../../lib/config.ts'
import { pollingEnv, postgresEnv, wholeNumber } from '../../lib/config.ts'
import { toPollingConfig } from '../../lib/polling/rules.ts'
import { Secret } from '../../lib/secret.ts'
import type { ConfigOf } from '../../lib/settings.ts'
import { group, optional, readSettings, seconds, serviceSettings, setting } from '../../lib/settings.ts'

const webhookUrl = z
  .string()
  .refine(
    (v) =>
      URL.canParse(v) &&
      /^https?:$/.test(new URL(v).protocol) &&
      /\/webhooks\/\d+\/[\w-]+\/?$/.test(new URL(v).pathname),
    'must be the address of a Discord webhook: https://discord.com/api/webhooks/ID/TOKEN',
  )
  // Normalised, so that it is redacted from errors in the form in which they show it.
  .transform((v) => new Secret(new URL(v).href))

/** Where alerts are posted. */
export const webhookEnv = { DISCORD_WEBHOOK_URL: webhookUrl.optional() }

export const settings = {
  ...serviceSettings,
  /** Without it a restart forgets which alerts about groups are open, and polling is not watched. */
  databaseUrl: optional('DATABASE_URL', postgresEnv.DATABASE_URL),
  /** Without it alerts go to the log only. */
  webhook: optional('DISCORD_WEBHOOK_URL', webhookUrl),
  /** How long reports are collected before a digest is posted. */
  digestMs: seconds('ALERT_DIGEST_SECONDS', 300, { max: 86_400 }),
  /** A kind that was silent for this time is alerted at once again. */
  quietMs: seconds('ALERT_QUIET_SECONDS', 3_600),
  /** Discord takes 30 messages a minute in a channel, and does not announce this limit before it refuses. */
  messagesPerMinute: setting('ALERT_MESSAGES_PER_MINUTE', wholeNumber(1, 30).default(25)),
  /** A stop waits at most this long for the post under way. */
  postTimeoutMs: seconds('ALERT_POST_TIMEOUT_SECONDS', 5, { max: 60 }),
  lagIntervalMs: seconds('ALERT_LAG_INTERVAL_SECONDS', 30),
  lag: { downMs: seconds('ALERT_DOWN_SECONDS', 120) },
  polling: group(pollingEnv, toPollingConfig),
}

export type AlerterConfig = ConfigOf<typeof settings>

/** @throws ConfigError naming every fault */
export const readConfig = (env: Env): AlerterConfig => readSettings(settings, env)
