import { z } from 'zod'
import { type Env, parseEnv, wholeNumber } from '../../lib/config.ts'
import { type DiscordSimulatorOptions, discordDefaults } from './channel.ts'

/**
 * Reads the simulator's settings from an environment.
 *
 * @throws ConfigError naming every fault of them
 */
export function readDiscordOptions(env: Env): DiscordSimulatorOptions {
  const e = parseEnv(shape, env)
  return {
    ...discordDefaults,
    host: e.HOST,
    port: e.PORT,
    webhookId: e.SIM_WEBHOOK_ID,
    webhookToken: e.SIM_WEBHOOK_TOKEN,
    keepMessages: e.SIM_KEEP_MESSAGES,
  }
}

const shape = {
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(0),
  SIM_WEBHOOK_ID: z.string().regex(/^\d+$/, 'must be digits').default(discordDefaults.webhookId),
  SIM_WEBHOOK_TOKEN: z
    .string()
    .regex(/^[\w-]+$/, 'may hold letters, digits, dashes and underscores')
    .default(discordDefaults.webhookToken),
  SIM_KEEP_MESSAGES: wholeNumber(1).default(discordDefaults.keepMessages),
}
