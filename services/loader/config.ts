import { z } from 'zod'
import type { Env } from '../../lib/config.ts'
import { wholeNumber } from '../../lib/config.ts'
import type { ConfigOf } from '../../lib/settings.ts'
import { databaseUrl, readSettings, seconds, serviceSettings, setting } from '../../lib/settings.ts'

const dayMs = 86_400_000

export const settings = {
  ...serviceSettings,
  databaseUrl,
  /** Whether requests for audio features are answered by anybody. */
  wantsFeatures: setting(
    'AUDIO_FEATURES_PROVIDER',
    z
      .enum(['auto', 'spotify', 'reccobeats', 'none'])
      .default('auto')
      .transform((provider) => provider !== 'none'),
  ),
  /** Pages of 50 plays in one transaction, at most. */
  batchPages: setting('LOADER_BATCH_PAGES', wholeNumber(1, 1_000).default(100)),
  batchMaxBytes: setting('LOADER_BATCH_BYTES', wholeNumber(65_536, 256 << 20).default(16 << 20)),
  /** How often requests that a dead process left unpublished are looked for. */
  sweepMs: seconds('LOADER_SWEEP_SECONDS', 300, { max: 86_400 }),
  /** After how long an unanswered request is made again; the topic forgets requests after seven days. */
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
