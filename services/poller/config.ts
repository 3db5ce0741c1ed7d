import type { Env } from '../../lib/config.ts'
import { ConfigError, pollingEnv, tokenKeysEnv, wholeNumber } from '../../lib/config.ts'
import type { ConfigOf } from '../../lib/settings.ts'
import {
  databaseUrl,
  group,
  readSettings,
  seconds,
  serviceSettings,
  setting,
  spotify,
} from '../../lib/settings.ts'

export const settings = {
  ...serviceSettings,
  databaseUrl,
  spotify,
  tokenKeys: group(tokenKeysEnv, (e) => e.TOKEN_ENCRYPTION_KEYS),
  poll: {
    /** The shortest time between two polls of a user. */
    minIntervalMs: seconds('POLL_MIN_INTERVAL_SECONDS', 60),
    /** The longest time between two polls of a user, while the request budget allows it. */
    maxIntervalMs: setting(
      'POLL_MAX_INTERVAL_SECONDS',
      pollingEnv.POLL_MAX_INTERVAL_SECONDS.transform((n) => n * 1000),
    ),
    /** How long a user belongs to one poller. */
    leaseMs: seconds('POLL_LEASE_SECONDS', 60, { min: 4 }),
    /** Users polled at a time by this process. */
    concurrency: setting('POLL_CONCURRENCY', wholeNumber(1, 1_000).default(4)),
    /** The longest sleep of an idle poller: it notices new users and ended pauses within this time. */
    idleMs: seconds('POLL_IDLE_SECONDS', 5, { max: 60 }),
  },
}

export type PollerConfig = ConfigOf<typeof settings>
export type PollSettings = PollerConfig['poll']

/** A poll makes up to three requests in a row (page, token, page again); the lease leaves time for one more. */
const requestsPerLease = 4

/** @throws ConfigError naming every fault */
export function readConfig(env: Env): PollerConfig {
  const config = readSettings(settings, env)
  const { poll, spotify } = config
  const faults: string[] = []
  if (poll.maxIntervalMs < poll.minIntervalMs) {
    faults.push('POLL_MAX_INTERVAL_SECONDS: must not be below POLL_MIN_INTERVAL_SECONDS')
  }
  if (poll.leaseMs < requestsPerLease * spotify.timeoutMs) {
    faults.push(`POLL_LEASE_SECONDS: must be at least ${requestsPerLease} times SPOTIFY_TIMEOUT_SECONDS`)
  }
  if (faults.length > 0) throw new ConfigError(faults)
  return config
}
