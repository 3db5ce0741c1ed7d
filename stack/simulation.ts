import { simulatorEnv, standInEnv } from '../simulators/stand-in.ts'
import { portSetting } from './infra/ports.ts'
import type { NodeProcess } from './services.ts'

/** The simulators that stand in for what has no credentials. */
export interface Simulation {
  spotify: NodeProcess
  /** Undefined if DISCORD_WEBHOOK_URL is set. */
  discord: NodeProcess | undefined
  /** Address of the Spotify simulator. */
  url: string
  /** The environment of the simulators' processes. */
  simulatorEnv: NodeJS.ProcessEnv
  /** Settings that point services and commands at the simulators. */
  env: Record<string, string>
}

/**
 * Reads the simulation's settings. By default the stream runs at a short pace, as no real budget is spent; the
 * environment may set another one.
 */
export function readSimulation(env: NodeJS.ProcessEnv): Simulation {
  const spotify = {
    name: 'spotify-simulator',
    entry: 'simulators/spotify-main.ts',
    port: portSetting(env, 'STACK_SPOTIFY_PORT', 19201),
    setting: 'STACK_SPOTIFY_PORT',
    readyPath: '/_sim/stats',
  }
  const discord = {
    name: 'discord-simulator',
    entry: 'simulators/discord-main.ts',
    port: portSetting(env, 'STACK_DISCORD_PORT', 19202),
    setting: 'STACK_DISCORD_PORT',
    readyPath: '/_sim/messages',
  }
  const at = {
    spotify: `http://127.0.0.1:${spotify.port}`,
    discord: `http://127.0.0.1:${discord.port}`,
  }
  return {
    spotify,
    discord: env.DISCORD_WEBHOOK_URL ? undefined : discord,
    url: at.spotify,
    simulatorEnv: simulatorEnv(env),
    env: standInEnv(env, at),
  }
}
