import { z } from 'zod'
import type { Env, KafkaConfig, ServiceConfig } from '../../lib/config.ts'
import {
  kafkaConfig,
  kafkaEnv,
  parseEnv,
  postgresEnv,
  serviceConfig,
  serviceEnv,
  wholeNumber,
} from '../../lib/config.ts'
import type { Secret } from '../../lib/secret.ts'

const env = {
  ...serviceEnv,
  ...kafkaEnv,
  ...postgresEnv,
  AUDIO_FEATURES_PROVIDER: z.enum(['auto', 'spotify', 'reccobeats', 'none']).default('auto'),
  LOADER_BATCH_PAGES: wholeNumber(1, 1_000).default(100),
  LOADER_BATCH_BYTES: wholeNumber(65_536, 256 * 1024 * 1024).default(16 * 1024 * 1024),
  LOADER_SWEEP_SECONDS: wholeNumber(1, 86_400).default(300),
  LOADER_REQUEST_AGAIN_DAYS: wholeNumber(1, 365).default(8),
}

export interface LoaderConfig extends ServiceConfig {
  kafka: KafkaConfig
  databaseUrl: Secret
  /** Whether requests for audio features are answered by anybody. */
  wantsFeatures: boolean
  /** Pages of 50 plays in one transaction, at most. */
  batchPages: number
  batchMaxBytes: number
  /** How often requests that a dead process left unpublished are looked for. */
  sweepMs: number
  /** After how long an unanswered request is made again; the topic forgets requests after seven days. */
  requestAgainMs: number
}

/** @throws ConfigError naming every fault */
export function readConfig(from: Env): LoaderConfig {
  const e = parseEnv(env, from)
  return {
    ...serviceConfig(e),
    kafka: kafkaConfig(e),
    databaseUrl: e.DATABASE_URL,
    wantsFeatures: e.AUDIO_FEATURES_PROVIDER !== 'none',
    batchPages: e.LOADER_BATCH_PAGES,
    batchMaxBytes: e.LOADER_BATCH_BYTES,
    sweepMs: e.LOADER_SWEEP_SECONDS * 1_000,
    requestAgainMs: e.LOADER_REQUEST_AGAIN_DAYS * 86_400_000,
  }
}
