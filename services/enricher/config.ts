import { z } from 'zod'
import type { Env, KafkaConfig, ServiceConfig, SpotifyConfig } from '../../lib/config.ts'
import {
  httpUrl,
  kafkaConfig,
  kafkaEnv,
  parseEnv,
  postgresEnv,
  serviceConfig,
  serviceEnv,
  spotifyConfig,
  spotifyEnv,
  wholeNumber,
} from '../../lib/config.ts'
import type { Secret } from '../../lib/secret.ts'
import type { FeaturesProvider } from './route.ts'

export interface EnricherConfig extends ServiceConfig {
  kafka: KafkaConfig
  databaseUrl: Secret
  spotify: SpotifyConfig
  reccobeatsUrl: string
  featuresProvider: FeaturesProvider
  /** How long a request waits for others to share a batch with. */
  lingerMs: number
  /** Until an id that failed again and again is asked for once more; doubled from there, up to a day. */
  deferMs: number
  /** What Spotify refused to this app is tried again after this time. */
  probeAgainMs: number
}

const env = {
  ...serviceEnv,
  ...kafkaEnv,
  ...postgresEnv,
  ...spotifyEnv,
  RECCOBEATS_URL: httpUrl().default('https://api.reccobeats.com'),
  AUDIO_FEATURES_PROVIDER: z
    .enum(['auto', 'spotify', 'reccobeats', 'none'], 'must be auto, spotify, reccobeats or none')
    .default('auto'),
  ENRICH_LINGER_SECONDS: wholeNumber(0, 60).default(2),
  ENRICH_DEFER_SECONDS: wholeNumber(1, 86_400).default(600),
  ENRICH_PROBE_AGAIN_HOURS: wholeNumber(1).default(168),
}

/** @throws ConfigError naming every fault */
export function readConfig(source: Env): EnricherConfig {
  const e = parseEnv(env, source)
  return {
    ...serviceConfig(e),
    kafka: kafkaConfig(e),
    databaseUrl: e.DATABASE_URL,
    spotify: spotifyConfig(e),
    reccobeatsUrl: e.RECCOBEATS_URL,
    featuresProvider: e.AUDIO_FEATURES_PROVIDER,
    lingerMs: e.ENRICH_LINGER_SECONDS * 1000,
    deferMs: e.ENRICH_DEFER_SECONDS * 1000,
    probeAgainMs: e.ENRICH_PROBE_AGAIN_HOURS * 3_600_000,
  }
}
