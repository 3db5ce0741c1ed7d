import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { Secret } from './secret.ts'

export type Env = Record<string, string | undefined>

/** All faults of a configuration at once; the message has one line for each. */
export class ConfigError extends Error {
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((f) => `  ${f}`).join('\n')}`,
    )
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/**
 * Reads the named settings from an environment. Pure, except that `NAME_FILE` may give the path to a file that holds
 * the setting, as with Docker secrets. An empty value counts as absent.
 *
 * @param shape environment name to zod schema
 * @throws ConfigError naming every fault
 */
export function parseEnv<S extends z.ZodRawShape>(shape: S, env: Env): z.infer<z.ZodObject<S>> {
  const faults: string[] = []
  const values: Record<string, string> = {}
  for (const name of Object.keys(shape)) {
    const file = env[`${name}_FILE`]
    if (env[name]) values[name] = env[name]
    else if (file) {
      try {
        values[name] = readFileSync(file, 'utf8').trim()
      } catch {
        faults.push(`${name}_FILE: cannot read the file ${file}`)
      }
    }
  }
  const parsed = z.object(shape).safeParse(values)
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = String(issue.path[0])
      if (env[`${name}_FILE`] && values[name] === undefined) continue
      faults.push(`${name}: ${values[name] === undefined ? 'is missing' : issue.message}`)
    }
  }
  if (faults.length > 0) throw new ConfigError(faults)
  return parsed.data as z.infer<z.ZodObject<S>>
}

/** Whole number within bounds, e.g. seconds, bytes or a port. */
export const wholeNumber = (min: number, max = Number.MAX_SAFE_INTEGER) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be between ${min} and ${max}`)

/** `true` or `false`. */
export const flag = () => z.enum(['true', 'false'], 'must be true or false').transform((v) => v === 'true')

/** An http or https address, without a trailing slash. */
export const httpUrl = () =>
  z
    .string()
    .refine((v) => URL.canParse(v) && /^https?:$/.test(new URL(v).protocol), 'must be an http(s) address')
    .transform((v) => v.replace(/\/+$/, ''))

/** Text that never reaches a log. */
export const secret = () => z.string().transform((v) => new Secret(v))

const brokerList = z
  .string()
  .transform((v) =>
    v
      .split(',')
      .map((b) => b.trim())
      .filter(Boolean),
  )
  .refine(
    (list) => list.length > 0 && list.every((b) => /^[^:]+:\d+$/.test(b)),
    'must be host:port[,host:port…]',
  )

/** Settings of every service. */
export const serviceEnv = {
  HTTP_PORT: wholeNumber(0, 65_535).default(0),
  HTTP_HOST: z.string().default('127.0.0.1'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
}

export interface ServiceConfig {
  http: { host: string; port: number }
  logLevel: string
}

/** Settings of every process that uses Kafka and the registry. */
export const kafkaEnv = {
  KAFKA_BROKERS: brokerList,
  KAFKA_SSL: flag().default(false),
  KAFKA_SASL_MECHANISM: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
  KAFKA_SASL_USERNAME: z.string().optional(),
  KAFKA_SASL_PASSWORD: secret().optional(),
  KAFKA_PREFIX: z
    .string()
    .regex(/^[a-zA-Z0-9._-]*$/, 'may hold letters, digits, dots, dashes and underscores')
    .default(''),
  KAFKA_REPLICATION_FACTOR: wholeNumber(1, 9).default(1),
  // By default, brokers accept 6 seconds to 30 minutes.
  KAFKA_SESSION_TIMEOUT_SECONDS: wholeNumber(6, 60).default(12),
  SCHEMA_REGISTRY_URL: httpUrl(),
  SCHEMA_UNKNOWN_SECONDS: wholeNumber(0, 600).default(30),
  DEAD_LETTER_FLOOD_PERCENT: wholeNumber(1, 100).default(50),
  DEAD_LETTER_FLOOD_MIN_COUNT: wholeNumber(1).default(10),
  DEAD_LETTER_FLOOD_WINDOW_RECORDS: wholeNumber(1, 10_000).default(50),
  DEPENDENCY_DOWN_SECONDS: wholeNumber(0).default(300),
  RECORD_HELD_UP_SECONDS: wholeNumber(0).default(900),
}

export interface KafkaConfig {
  brokers: string[]
  ssl: boolean
  sasl: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: Secret } | null
  prefix: string
  replicationFactor: number
  /** How long the group waits for a member that has died before it reassigns its partitions. */
  sessionTimeoutMs: number
  registryUrl: string
  /** How long the registry must not know a schema before a record counts as undecodable. */
  schemaUnknownAfterMs: number
  /** When a consumer stops instead of dead-lettering its whole topic. */
  flood: { maxRatio: number; minDeadLetters: number; windowRecords: number }
  /** How long a server must fail before an event reports it; and a record that fails although its server answers. */
  outages: { downAfterMs: number; heldUpAfterMs: number }
}

/** @throws ConfigError when SASL is set in part only */
export function kafkaConfig(e: z.infer<z.ZodObject<typeof kafkaEnv>>): KafkaConfig {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = e
  let sasl: KafkaConfig['sasl'] = null
  if (mechanism && username && password) sasl = { mechanism, username, password }
  else if (mechanism || username || password) {
    throw new ConfigError([
      'KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD belong together: set all three or none',
    ])
  }
  return {
    brokers: e.KAFKA_BROKERS,
    ssl: e.KAFKA_SSL,
    sasl,
    prefix: e.KAFKA_PREFIX,
    replicationFactor: e.KAFKA_REPLICATION_FACTOR,
    sessionTimeoutMs: e.KAFKA_SESSION_TIMEOUT_SECONDS * 1000,
    registryUrl: e.SCHEMA_REGISTRY_URL,
    schemaUnknownAfterMs: e.SCHEMA_UNKNOWN_SECONDS * 1000,
    flood: {
      maxRatio: e.DEAD_LETTER_FLOOD_PERCENT / 100,
      minDeadLetters: e.DEAD_LETTER_FLOOD_MIN_COUNT,
      windowRecords: e.DEAD_LETTER_FLOOD_WINDOW_RECORDS,
    },
    outages: {
      downAfterMs: e.DEPENDENCY_DOWN_SECONDS * 1000,
      heldUpAfterMs: e.RECORD_HELD_UP_SECONDS * 1000,
    },
  }
}

/** Settings of every process that uses Postgres. */
export const postgresEnv = {
  DATABASE_URL: z
    .string()
    .refine(
      (v) => /^postgres(ql)?:\/\//.test(v) && URL.canParse(v),
      'must be postgres://user:password@host:port/database',
    )
    .transform((v) => new Secret(v)),
}

/** Settings of every process that uses the object store. */
export const s3Env = {
  S3_ENDPOINT: httpUrl().optional(),
  S3_REGION: z.string().default('us-east-1'),
  S3_BUCKET: z.string(),
  S3_PREFIX: z
    .string()
    .default('')
    .transform((v) => v.replace(/^\/+|\/+$/g, '')),
  AWS_ACCESS_KEY_ID: secret().optional(),
  AWS_SECRET_ACCESS_KEY: secret().optional(),
}

export interface S3Config {
  /** Null for Amazon's own. */
  endpoint: string | null
  region: string
  bucket: string
  /** Without slashes at its ends; empty for the bucket's root. */
  prefix: string
  /** Null for the SDK's own chain (instance role, profile, …). */
  credentials: { accessKeyId: Secret; secretAccessKey: Secret } | null
}

export function s3Config(e: z.infer<z.ZodObject<typeof s3Env>>): S3Config {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = e
  return {
    endpoint: e.S3_ENDPOINT ?? null,
    region: e.S3_REGION,
    bucket: e.S3_BUCKET,
    prefix: e.S3_PREFIX,
    credentials: accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : null,
  }
}

/** Settings of every process that uses Spotify. */
export const spotifyEnv = {
  SPOTIFY_CLIENT_ID: z.string(),
  SPOTIFY_CLIENT_SECRET: secret(),
  SPOTIFY_API_URL: httpUrl().default('https://api.spotify.com/v1'),
  SPOTIFY_ACCOUNTS_URL: httpUrl().default('https://accounts.spotify.com'),
  SPOTIFY_DAILY_REQUESTS: wholeNumber(1).default(600),
  SPOTIFY_TIMEOUT_SECONDS: wholeNumber(1, 120).default(15),
}

/** Settings of the processes that judge whether polling goes on. */
export const pollingEnv = {
  ALERT_POLLING_STOPPED_SECONDS: wholeNumber(1).default(2_700),
  ALERT_UNPOLLED_SECONDS: wholeNumber(1).default(7_200),
  // A setting of the poller: the judges have to know how long its plans may be.
  POLL_MAX_INTERVAL_SECONDS: wholeNumber(1).default(1_200),
  SPOTIFY_CLIENT_ID: spotifyEnv.SPOTIFY_CLIENT_ID.optional(),
  SPOTIFY_DAILY_REQUESTS: spotifyEnv.SPOTIFY_DAILY_REQUESTS,
}

export interface SpotifyConfig {
  clientId: string
  clientSecret: Secret
  /** Includes `/v1`. */
  apiUrl: string
  accountsUrl: string
  /** Requests that the client id may make in a window of 24 hours. */
  dailyRequests: number
  timeoutMs: number
}

export function spotifyConfig(e: z.infer<z.ZodObject<typeof spotifyEnv>>): SpotifyConfig {
  return {
    clientId: e.SPOTIFY_CLIENT_ID,
    clientSecret: e.SPOTIFY_CLIENT_SECRET,
    apiUrl: e.SPOTIFY_API_URL,
    accountsUrl: e.SPOTIFY_ACCOUNTS_URL,
    dailyRequests: e.SPOTIFY_DAILY_REQUESTS,
    timeoutMs: e.SPOTIFY_TIMEOUT_SECONDS * 1000,
  }
}

const keyRing = z
  .string()
  .refine(
    (v) => v.split(',').every((part) => /^[\w.-]+:[A-Za-z0-9_-]+=*$/.test(part.trim())),
    'must be kid:base64url[,kid:base64url…]',
  )
  .refine(
    (v) =>
      v.split(',').every((part) => Buffer.from(part.slice(part.indexOf(':') + 1), 'base64url').length === 32),
    'each key must be 32 bytes in base64url (make one: openssl rand -base64 32 | tr +/ -_ | tr -d =)',
  )
  .transform((v) =>
    v.split(',').map((part) => {
      const [kid = '', key = ''] = part.trim().split(':')
      return { kid, key: new Secret(key) }
    }),
  )

/** Keys for users' tokens: the first one encrypts, all of them decrypt. */
export const tokenKeysEnv = { TOKEN_ENCRYPTION_KEYS: keyRing }

export interface TokenKey {
  kid: string
  /** 32 bytes in base64url. */
  key: Secret
}
