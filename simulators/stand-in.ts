import type { Env } from '../lib/config.ts'

/** Where the simulators listen, without a slash at the end. */
export interface SimulatorAddresses {
  spotify: string
  discord: string
}

const webhook = { id: '1', token: 'simulated' }

/** Thirty listeners whose day passes in twelve minutes. */
const size = { SIM_LISTENERS: '30', SIM_SPEED: '120' }

/** A short pace, as no real budget is spent. */
const quick = {
  SPOTIFY_DAILY_REQUESTS: '1000000',
  POLL_MIN_INTERVAL_SECONDS: '5',
  POLL_MAX_INTERVAL_SECONDS: '30',
  ARCHIVE_OBJECT_AGE_SECONDS: '20',
  ALERT_DIGEST_SECONDS: '30',
}

/**
 * Settings that point services and commands at the simulators. A setting of `quick` that the environment has
 * stays as it is, and so does a real Discord webhook.
 */
export function standInEnv(env: Env, at: SimulatorAddresses): Record<string, string> {
  const own = Object.entries(quick).map(([name, value]) => [name, env[name] || value])
  const simulatedWebhook = `${at.discord}/api/webhooks/${webhook.id}/${webhook.token}`
  return {
    ...Object.fromEntries(own),
    SPOTIFY_CLIENT_ID: 'simulated',
    SPOTIFY_CLIENT_SECRET: 'simulated',
    SPOTIFY_API_URL: `${at.spotify}/v1`,
    SPOTIFY_ACCOUNTS_URL: at.spotify,
    RECCOBEATS_URL: `${at.spotify}/reccobeats`,
    ...(env.DISCORD_WEBHOOK_URL_FILE
      ? {}
      : { DISCORD_WEBHOOK_URL: env.DISCORD_WEBHOOK_URL || simulatedWebhook }),
  }
}

/** The environment of the simulators' own processes. */
export function simulatorEnv(env: Env): Env {
  return { ...size, ...env, SIM_WEBHOOK_ID: webhook.id, SIM_WEBHOOK_TOKEN: webhook.token }
}

/**
 * Where the containers find the simulators: SPOTIFY_SIMULATOR_URL and DISCORD_SIMULATOR_URL, used until
 * SPOTIFY_CLIENT_ID is set.
 *
 * @returns null if this is not a demo
 */
export function readSimulatorAddresses(env: Env): SimulatorAddresses | null {
  const { SPOTIFY_CLIENT_ID, SPOTIFY_SIMULATOR_URL: spotify, DISCORD_SIMULATOR_URL: discord } = env
  return !SPOTIFY_CLIENT_ID && spotify && discord ? { spotify, discord } : null
}

/** The environment of a service in a container, pointed at the simulators if this is a demo. */
export function withSimulators(env: Env): Env {
  const at = readSimulatorAddresses(env)
  return at ? { ...env, ...standInEnv(env, at) } : env
}
