import { z } from 'zod'
import type { Env } from '../../lib/config.ts'
import { httpUrl, wholeNumber } from '../../lib/config.ts'
import type { ConfigOf } from '../../lib/settings.ts'
import { databaseUrl, readSettings, seconds, serviceSettings, setting, spotify } from '../../lib/settings.ts'

export const settings = {
  ...serviceSettings,
  databaseUrl,
  spotify,
  reccobeatsUrl: setting('RECCOBEATS_URL', httpUrl().default('https://api.reccobeats.com')),
  featuresProvider: setting(
    'AUDIO_FEATURES_PROVIDER',
    z
      .enum(['auto', 'spotify', 'reccobeats', 'none'], 'must be auto, spotify, reccobeats or none')
      .default('auto'),
  ),
  /** How long a request waits for others to share a batch with. */
  lingerMs: seconds('ENRICH_LINGER_SECONDS', 2, { min: 0, max: 60 }),
  /** The first wait of a deferred lookup; doubled after each failure, up to a day. */
  deferMs: seconds('ENRICH_DEFER_SECONDS', 600, { max: 86_400 }),
  /** An endpoint that Spotify refused to this app is tried again after this time. */
  probeAgainMs: setting(
    'ENRICH_PROBE_AGAIN_HOURS',
    wholeNumber(1)
      .default(168)
      .transform((hours) => hours * 3_600_000),
  ),
}

export type EnricherConfig = ConfigOf<typeof settings>

/** @throws ConfigError naming every fault */
export const readConfig = (env: Env): EnricherConfig => readSettings(settings, env)
