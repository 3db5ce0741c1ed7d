import { tmpdir } from 'node:os'
import { z } from 'zod'
import type { Env, KafkaConfig, S3Config, ServiceConfig } from '../../lib/config.ts'
import {
  kafkaConfig,
  kafkaEnv,
  parseEnv,
  s3Config,
  s3Env,
  serviceConfig,
  serviceEnv,
  wholeNumber,
} from '../../lib/config.ts'

export interface ArchiverConfig extends ServiceConfig {
  kafka: KafkaConfig
  s3: S3Config
  /** Size at which an object file is closed. */
  objectBytes: number
  /** Time after its first record at which an object is closed. */
  objectAgeMs: number
  /** Folder of the files in which objects grow before they are put. */
  spoolDir: string
}

const mebibyte = 1 << 20
/** One PUT takes 5 GiB at most; the margin is for the last block. */
const largestObject = 4 * 1024 * mebibyte
const seconds = () => wholeNumber(1, 86_400)

const env = {
  ...serviceEnv,
  ...kafkaEnv,
  ...s3Env,
  ARCHIVE_OBJECT_BYTES: wholeNumber(1, largestObject).default(64 * mebibyte),
  ARCHIVE_OBJECT_AGE: seconds().default(300),
  ARCHIVE_OBJECT_AGE_SECONDS: seconds().optional(),
  ARCHIVE_SPOOL_DIR: z.string().default(tmpdir()),
}

/** Settings of the archiver. @throws ConfigError naming every fault */
export function readConfig(variables: Env): ArchiverConfig {
  const e = parseEnv(env, variables)
  return {
    ...serviceConfig(e),
    kafka: kafkaConfig(e),
    s3: s3Config(e),
    objectBytes: e.ARCHIVE_OBJECT_BYTES,
    objectAgeMs: (e.ARCHIVE_OBJECT_AGE_SECONDS ?? e.ARCHIVE_OBJECT_AGE) * 1000,
    spoolDir: e.ARCHIVE_SPOOL_DIR,
  }
}
