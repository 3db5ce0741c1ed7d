import { z } from 'zod'
import { type Env, flag, parseEnv, wholeNumber } from '../../lib/config.ts'
import { type FaultName, faultNames, transientFaults } from './faults.ts'
import { type Oddity, oddities } from './oddities.ts'
import { type SpotifySimulatorOptions, spotifyDefaults } from './options.ts'

/**
 * Reads the simulator's settings from an environment.
 *
 * @throws ConfigError naming every fault of them
 */
export function readSpotifyOptions(env: Env): SpotifySimulatorOptions {
  const e = parseEnv(shape, env)
  const { SIM_CLIENT_ID: id, SIM_CLIENT_SECRET: secret, SIM_REDIRECT_URIS: redirectUris } = e
  return {
    ...spotifyDefaults,
    host: e.HOST,
    port: e.PORT,
    seed: e.SIM_SEED,
    listeners: e.SIM_LISTENERS,
    tracks: e.SIM_TRACKS,
    speed: e.SIM_SPEED,
    mode: e.SIM_MODE,
    plays: e.SIM_PLAYS,
    client: id !== undefined && secret !== undefined ? { id, secret, redirectUris } : null,
    autoApprove: e.SIM_AUTO_APPROVE,
    accessTokenSeconds: e.SIM_ACCESS_TOKEN_SECONDS,
    refreshTokenRotation: e.SIM_REFRESH_TOKEN_ROTATION,
    faults: e.SIM_FAULTS,
    oddities: e.SIM_ODDITIES,
    largeRetryAfterSeconds: e.SIM_LARGE_RETRY_AFTER_SECONDS,
    requestsPer30Seconds: e.SIM_REQUESTS_PER_30_SECONDS ?? Number.POSITIVE_INFINITY,
    dailyRequests: e.SIM_DAILY_REQUESTS ?? Number.POSITIVE_INFINITY,
    latencyMs: e.SIM_LATENCY_MS,
    hangMs: e.SIM_HANG_MS,
    slowBodyMs: e.SIM_SLOW_BODY_MS,
    reccobeatsCoverage: e.SIM_RECCOBEATS_COVERAGE_PERCENT / 100,
    truth: e.SIM_TRUTH,
    keepPages: e.SIM_KEEP_PAGES,
  }
}

const shape = {
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(0),
  SIM_SEED: wholeNumber(0, 2 ** 31).default(1),
  SIM_LISTENERS: wholeNumber(1, 10_000_000).default(10),
  SIM_TRACKS: wholeNumber(100, 10_000_000).default(20_000),
  SIM_SPEED: wholeNumber(1, 10_000).default(1),
  SIM_MODE: z.enum(['development', 'extended']).default('development'),
  SIM_PLAYS: z.enum(['days', 'none']).default('days'),
  SIM_CLIENT_ID: z.string().optional(),
  SIM_CLIENT_SECRET: z.string().optional(),
  SIM_REDIRECT_URIS: z
    .string()
    .default('http://127.0.0.1/callback')
    .transform((list) => list.split(',').map((uri) => uri.trim())),
  SIM_AUTO_APPROVE: flag().default(false),
  SIM_ACCESS_TOKEN_SECONDS: wholeNumber(1).default(3600),
  SIM_REFRESH_TOKEN_ROTATION: z.enum(['never', 'rarely', 'always']).default('never'),
  SIM_FAULTS: shares<FaultName>(faultNames, { transient: transientFaults, all: faultNames }).default({}),
  SIM_ODDITIES: shares<Oddity>(oddities, { all: oddities }).default({}),
  SIM_LARGE_RETRY_AFTER_SECONDS: wholeNumber(1).default(spotifyDefaults.largeRetryAfterSeconds),
  SIM_REQUESTS_PER_30_SECONDS: wholeNumber(1).optional(),
  SIM_DAILY_REQUESTS: wholeNumber(1).optional(),
  SIM_LATENCY_MS: wholeNumber(0).default(0),
  SIM_HANG_MS: wholeNumber(0).default(spotifyDefaults.hangMs),
  SIM_SLOW_BODY_MS: wholeNumber(0).default(spotifyDefaults.slowBodyMs),
  SIM_RECCOBEATS_COVERAGE_PERCENT: wholeNumber(0, 100).default(67),
  SIM_TRUTH: z.enum(['full', 'count']).default('full'),
  SIM_KEEP_PAGES: wholeNumber(0).default(0),
}

/**
 * A list such as `reset=0.01,transient=0.005`: names or groups of names with probabilities. Later entries
 * override earlier ones.
 */
function shares<Name extends string>(names: readonly Name[], groups: Record<string, readonly Name[]>) {
  return z.string().transform((list, context): Partial<Record<Name, number>> => {
    const result: Partial<Record<Name, number>> = {}
    for (const entry of list.split(',').map((part) => part.trim())) {
      const [name = '', share = ''] = entry.split('=')
      const chosen = groups[name] ?? names.filter((known) => known === name)
      const value = /^\d*\.?\d+$/.test(share) ? Number(share) : Number.NaN
      if (chosen.length === 0) {
        context.addIssue(`${name} is unknown; known: ${[...Object.keys(groups), ...names].join(', ')}`)
      }
      if (!(value >= 0 && value <= 1)) context.addIssue(`${entry}: needs a probability, as in ${name}=0.01`)
      for (const one of chosen) result[one] = value
    }
    return result
  })
}
