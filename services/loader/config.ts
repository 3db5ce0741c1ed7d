import { z } from 'zod'
import type { Env } from '../../lib/config.ts'
import { wholeNumber } from '../../lib/config.ts'
import type { ConfigOf } from '../../lib/settings.ts'
import { databaseUrl, readSettings, seconds, serviceSettings, setting } from '../../lib/settings.ts'

const dayMs = 86_400_000

export const settings = {
  ...serviceSettings,
  databaseUrl,
  /** Whether any source answers requests for audio features. */
  wantsFeatures: setting(
    'AUDIO_FEATURES_PROVIDER',
    z
      .enum(['auto', 'spotify', 'reccobeats', 'none'])
      .default('auto')
      .transform((provider) => provider !== 'none'),
  ),
  /** The most pages of 50 plays in one transaction. */
  batchPages: setting('LOADER_BATCH_PAGES', wholeNumber(1, 1_000).default(100)),
  batchMaxBytes: setting('LOADER_BATCH_BYTES', wholeNumber(65_536, 256 << 20).default(16 << 20)),
  /** How often the loader searches for requests that a dead process left unpublished. */
  sweepMs: seconds('LOADER_SWEEP_SECONDS', 300, { max: 86_400 }),
  /** An unanswered request is repeated after this time; the topic keeps requests for seven days. */
  requestAgainMs: setting(
    'LOADER_REQUEST_AGAIN_DAYS',
    wholeNumber(1, 365)
      .default(8)
      .transform((days) => days * dayMs),
  ),
}

export type LoaderConfig = ConfigOf<typeof settings>

/** @throws ConfigError naming every fault */
export const readConfig = (env: Env): LoaderConfig => readSettings(settings, env)
