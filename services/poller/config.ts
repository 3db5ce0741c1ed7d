import type { Env, KafkaConfig, ServiceConfig, SpotifyConfig, TokenKey } from '../../lib/config.ts'
import {
  ConfigError,
  kafkaConfig,
  kafkaEnv,
  parseEnv,
  pollingEnv,
  postgresEnv,
  serviceConfig,
  serviceEnv,
  spotifyConfig,
  spotifyEnv,
  tokenKeysEnv,
  wholeNumber,
} from '../../lib/config.ts'
import type { Secret } from '../../lib/secret.ts'

export interface PollSettings {
  /** Between two polls of a user at the least. */
  minIntervalMs: number
  /** Between two polls of a user at the most, while the request budget allows it. */
  maxIntervalMs: number
  /** A user belongs to one poller for so long. */
  leaseMs: number
  /** Users polled at a time by this process. */
  concurrency: number
  /** With nothing to do, new users and ended pauses are noticed within this time. */
  idleMs: number
}

export interface PollerConfig extends ServiceConfig {
  kafka: KafkaConfig
  databaseUrl: Secret
  spotify: SpotifyConfig
  tokenKeys: TokenKey[]
  poll: PollSettings
}

const env = {
  ...serviceEnv,
  ...kafkaEnv,
  ...postgresEnv,
  ...spotifyEnv,
  ...tokenKeysEnv,
  POLL_MIN_INTERVAL_SECONDS: wholeNumber(1).default(60),
  POLL_MAX_INTERVAL_SECONDS: pollingEnv.POLL_MAX_INTERVAL_SECONDS,
  POLL_LEASE_SECONDS: wholeNumber(4).default(60),
  POLL_CONCURRENCY: wholeNumber(1, 1_000).default(4),
  POLL_IDLE_SECONDS: wholeNumber(1, 60).default(5),
}

/** In the worst case a poll makes three requests in a row: page, token, page again. */
const requestsPerLease = 4

/** @throws ConfigError naming every fault */
export function readConfig(from: Env): PollerConfig {
  const e = parseEnv(env, from)
  const faults: string[] = []
  if (e.POLL_MAX_INTERVAL_SECONDS < e.POLL_MIN_INTERVAL_SECONDS) {
    faults.push('POLL_MAX_INTERVAL_SECONDS: must not be below POLL_MIN_INTERVAL_SECONDS')
  }
  if (e.POLL_LEASE_SECONDS < requestsPerLease * e.SPOTIFY_TIMEOUT_SECONDS) {
    faults.push(`POLL_LEASE_SECONDS: must be at least ${requestsPerLease} times SPOTIFY_TIMEOUT_SECONDS`)
  }
  if (faults.length > 0) throw new ConfigError(faults)
  return {
    ...serviceConfig(e),
    kafka: kafkaConfig(e),
    databaseUrl: e.DATABASE_URL,
    spotify: spotifyConfig(e),
    tokenKeys: e.TOKEN_ENCRYPTION_KEYS,
    poll: {
      minIntervalMs: e.POLL_MIN_INTERVAL_SECONDS * 1000,
      maxIntervalMs: e.POLL_MAX_INTERVAL_SECONDS * 1000,
      leaseMs: e.POLL_LEASE_SECONDS * 1000,
      concurrency: e.POLL_CONCURRENCY,
      idleMs: e.POLL_IDLE_SECONDS * 1000,
    },
  }
}
