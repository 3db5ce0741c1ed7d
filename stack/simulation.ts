import { simulatorEnv, standInEnv } from '../simulators/stand-in.ts'
import { portSetting } from './infra/ports.ts'
import type { NodeProcess } from './services.ts'

/** The simulators that stand in for what has no credentials. */
export interface Simulation {
  spotify: NodeProcess
  /** Undefined when a real webhook is set. */
  discord: NodeProcess | undefined
  /** Address of the simulated Spotify. */
  url: string
  /** Settings of the simulators' processes, the environment's own included. */
  simulatorEnv: NodeJS.ProcessEnv
  /** What points services and commands at the simulators. */
  env: Record<string, string>
}

/**
 * Reads the simulation's settings. A setting of the services or simulators that the environment has stays
 * as it is; by default much happens quickly, as there is no real budget to spare.
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
