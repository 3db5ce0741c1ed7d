import type { Env } from '../config.ts'
import { parseEnv, pollingEnv } from '../config.ts'
import type { PollingRules } from './judge.ts'

export interface PollingConfig {
  rules: PollingRules
  /** The app's client id, or null for the one that was used last. */
  clientId: string | null
  dailyRequests: number
  /** The longest interval that the poller plans while the budget allows it. */
  maxIntervalMs: number
}

/** @throws ConfigError naming every fault */
export function readPollingConfig(source: Env): PollingConfig {
  return toPollingConfig(parseEnv(pollingEnv, source))
}

/** Converts an environment that was parsed with {@link pollingEnv}. */
export function toPollingConfig(e: {
  ALERT_POLLING_STOPPED_SECONDS: number
  ALERT_UNPOLLED_SECONDS: number
  POLL_MAX_INTERVAL_SECONDS: number
  SPOTIFY_CLIENT_ID?: string | undefined
  SPOTIFY_DAILY_REQUESTS: number
}): PollingConfig {
  return {
    rules: {
      stoppedMs: e.ALERT_POLLING_STOPPED_SECONDS * 1000,
      unpolledMs: e.ALERT_UNPOLLED_SECONDS * 1000,
    },
    clientId: e.SPOTIFY_CLIENT_ID ?? null,
    dailyRequests: e.SPOTIFY_DAILY_REQUESTS,
    maxIntervalMs: e.POLL_MAX_INTERVAL_SECONDS * 1000,
  }
}
