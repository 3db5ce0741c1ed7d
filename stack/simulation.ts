import { Client } from 'pg'
import { parseEnv, tokenKeysEnv } from '../lib/config.ts'
import { createTokenCrypto } from '../lib/spotify/token-crypto.ts'
import { portSetting } from './infra/ports.ts'
import type { NodeProcess } from './services.ts'

/** The simulators that stand in for what has no credentials. */
export interface Simulation {
  spotify: NodeProcess
  /** Undefined when a real webhook is set. */
  discord: NodeProcess | undefined
  /** Settings of the simulators' processes, the environment's own included. */
  simulatorEnv: NodeJS.ProcessEnv
  /** What points services and commands at the simulators. */
  env: Record<string, string>
}

const webhook = { id: '1', token: 'simulated' }

/** Listeners, and how many times faster than ours their days pass: a day in twelve minutes. */
const listeners = 30
const speed = 120

/**
 * Reads the simulation's settings. A setting of the services or simulators that the environment has stays
 * as it is; by default much happens quickly, as there is no real budget to spare.
 */
export function readSimulation(env: NodeJS.ProcessEnv): Simulation {
  const spotify = {
    name: 'spotify-simulator',
    entry: 'stack/simulators/spotify-main.ts',
    port: portSetting(env, 'STACK_SPOTIFY_PORT', 19201),
    setting: 'STACK_SPOTIFY_PORT',
    readyPath: '/_sim/stats',
  }
  const discord = {
    name: 'discord-simulator',
    entry: 'stack/simulators/discord-main.ts',
    port: portSetting(env, 'STACK_DISCORD_PORT', 19202),
    setting: 'STACK_DISCORD_PORT',
    readyPath: '/_sim/messages',
  }
  const quick = {
    SPOTIFY_DAILY_REQUESTS: '1000000',
    POLL_MIN_INTERVAL_SECONDS: '5',
    POLL_MAX_INTERVAL_SECONDS: '30',
    ARCHIVE_OBJECT_AGE_SECONDS: '20',
    ALERT_DIGEST_SECONDS: '30',
  }
  return {
    spotify,
    discord: env.DISCORD_WEBHOOK_URL ? undefined : discord,
    simulatorEnv: {
      SIM_LISTENERS: String(listeners),
      SIM_SPEED: String(speed),
      ...env,
      SIM_WEBHOOK_ID: webhook.id,
      SIM_WEBHOOK_TOKEN: webhook.token,
    },
    env: {
      ...valuesOf(quick, env),
      SPOTIFY_CLIENT_ID: 'simulated',
      SPOTIFY_CLIENT_SECRET: 'simulated',
      SPOTIFY_API_URL: `http://127.0.0.1:${spotify.port}/v1`,
      SPOTIFY_ACCOUNTS_URL: `http://127.0.0.1:${spotify.port}`,
      RECCOBEATS_URL: `http://127.0.0.1:${spotify.port}/reccobeats`,
      DISCORD_WEBHOOK_URL:
        env.DISCORD_WEBHOOK_URL ||
        `http://127.0.0.1:${discord.port}/api/webhooks/${webhook.id}/${webhook.token}`,
    },
  }
}

function valuesOf(defaults: Record<string, string>, env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, env[name] || value]))
}

interface SimulatedListener {
  spotifyId: string
  displayName: string | null
  refreshToken: string
}

/**
 * Makes every simulated listener a user, as though each had consented. Those that are users already stay
 * as they are. Returns how many there are.
 */
export async function addSimulatedUsers(
  simulation: Simulation,
  { DATABASE_URL, TOKEN_ENCRYPTION_KEYS }: Record<string, string>,
): Promise<number> {
  const limit = Number(simulation.simulatorEnv.SIM_LISTENERS)
  const response = await fetch(`http://127.0.0.1:${simulation.spotify.port}/_sim/listeners?limit=${limit}`)
  const { listeners: found } = (await response.json()) as { listeners: SimulatedListener[] }
  const crypto = createTokenCrypto(parseEnv(tokenKeysEnv, { TOKEN_ENCRYPTION_KEYS }).TOKEN_ENCRYPTION_KEYS)
  const client = new Client({ connectionString: DATABASE_URL })
  await client.connect()
  try {
    await client.query(addUsersSql, [
      found.map((one) => one.spotifyId),
      found.map((one) => one.displayName),
      await Promise.all(found.map((one) => crypto.seal(one.refreshToken))),
    ])
  } finally {
    await client.end()
  }
  return found.length
}

const addUsersSql = `
  with listeners as (
    select * from unnest($1::text[], $2::text[], $3::text[]) as t (spotify_id, display_name, refresh_token)
  ), added as (
    insert into users (spotify_id, display_name) select spotify_id, display_name from listeners
    on conflict (spotify_id) do nothing returning id, spotify_id
  ), tokens as (
    insert into spotify_tokens (user_id, refresh_token)
    select added.id, listeners.refresh_token from added join listeners using (spotify_id)
  )
  insert into poll_state (user_id) select id from added`

/**
 * Gives the first listener a play that cannot be told, an item without played_at: so that each run shows
 * what becomes of bad data. Its page is dead-lettered, its neighbours are stored, Discord hears of it.
 */
export async function showDeadLetter(simulation: Simulation): Promise<void> {
  await fetch(`http://127.0.0.1:${simulation.spotify.port}/_sim/listeners/0/plays`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ oddity: 'missing_played_at' }),
  })
}
