import { tmpdir } from 'node:os'
import { z } from 'zod'
import type { Env } from '../../lib/config.ts'
import { s3Config, s3Env, wholeNumber } from '../../lib/config.ts'
import type { ConfigOf } from '../../lib/settings.ts'
import { group, readSettings, serviceSettings, setting } from '../../lib/settings.ts'

const mebibyte = 1 << 20
/** One PUT takes at most 5 GiB; the margin is for the last block. */
const largestObject = 4 * 1024 * mebibyte
const seconds = () => wholeNumber(1, 86_400)

export const settings = {
  ...serviceSettings,
  s3: group(s3Env, s3Config),
  /** Size at which an object file is closed. */
  objectBytes: setting('ARCHIVE_OBJECT_BYTES', wholeNumber(1, largestObject).default(64 * mebibyte)),
  /** Age of its first record at which an object is closed; see `due.ts`. */
  objectAgeMs: group(
    { ARCHIVE_OBJECT_AGE: seconds().default(300), ARCHIVE_OBJECT_AGE_SECONDS: seconds().optional() },
    (e) => (e.ARCHIVE_OBJECT_AGE_SECONDS ?? e.ARCHIVE_OBJECT_AGE) * 1000,
  ),
  /** Folder of the files in which objects grow before they are put. */
  spoolDir: setting('ARCHIVE_SPOOL_DIR', z.string().default(tmpdir())),
}

export type ArchiverConfig = ConfigOf<typeof settings>

/** @throws ConfigError naming every fault */
export const readConfig = (env: Env): ArchiverConfig => readSettings(settings, env)
