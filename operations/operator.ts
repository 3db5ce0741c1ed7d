import type { Codec } from '../lib/codec.ts'
import { openCodec } from '../lib/codec.ts'
import type { Env, SpotifyConfig } from '../lib/config.ts'
import {
  kafkaConfig,
  kafkaEnv,
  parseEnv,
  postgresEnv,
  s3Config,
  s3Env,
  spotifyConfig,
  spotifyEnv,
} from '../lib/config.ts'
import type { Admin } from '../lib/kafka/admin.ts'
import { openAdmin } from '../lib/kafka/admin.ts'
import type { ClientOptions } from '../lib/kafka/client.ts'
import { createClient } from '../lib/kafka/client.ts'
import { Producer } from '../lib/kafka/producer.ts'
import type { Logger } from '../lib/log.ts'
import type { Postgres } from '../lib/postgres.ts'
import { openPostgres } from '../lib/postgres.ts'
import type { S3 } from '../lib/s3.ts'
import { openS3 } from '../lib/s3.ts'
import { Scope } from '../lib/scope.ts'
import type { Gateway } from '../lib/spotify/gateway.ts'
import { openGateway } from '../lib/spotify/gateway.ts'
import type { Topology } from '../lib/topology.ts'
import { topology } from '../lib/topology.ts'
import { describe, OperatorFault } from './fault.ts'

/** A connection to Kafka and what further connections need. */
export interface Broker {
  admin: Admin
  client: ClientOptions
  topology: Topology
  /** Shares its cache of schemas with everything that decodes for this operator. */
  codec: Codec
}

/** The bucket of the archive. */
export interface Archive {
  s3: S3
  prefix: string
}

/** The gateway to Spotify, whose requests are counted in Postgres. */
export interface Spotify {
  config: SpotifyConfig
  gateway: Gateway
}

/** The progress of an operation; `total` is null if unknown. A count below the last one begins another pass. */
export type OnProgress = (done: number, total: number | null) => void

/** What every long operation is called with. */
export interface Watch {
  /** When aborted, the operation finishes its current step, and its report covers what was reached. */
  signal: AbortSignal
  onProgress?: OnProgress | undefined
}

/**
 * What every operation works with. It connects to each server on first use, shares the connection, and releases it in
 * {@link Operator.close}. It may live for one command or for the life of a process: after a failed connection the
 * next use tries again.
 */
export class Operator {
  readonly env: Env
  readonly log: Logger
  readonly scope: Scope
  readonly #opened = new Map<string, Promise<unknown>>()

  constructor({ env, log }: { env: Env; log: Logger }) {
    this.env = env
    this.log = log
    this.scope = new Scope(log)
  }

  /** @throws ConfigError, or OperatorFault when Postgres does not answer or refuses the login */
  postgres(): Promise<Postgres> {
    return this.#once('postgres', () => this.#openPostgres())
  }

  /** @throws ConfigError, or RetriableError when Kafka does not answer */
  broker(): Promise<Broker> {
    return this.#once('kafka', async () => {
      const config = kafkaConfig(parseEnv(kafkaEnv, this.env))
      const client = { config, log: this.log, name: 'songswap-cli' }
      const admin = await this.scope.use(openAdmin(client), 'kafka')
      return { admin, client, topology: topology(config.prefix), codec: openCodec(config) }
    })
  }

  /** @throws as {@link Operator.broker} */
  producer(): Promise<Producer> {
    return this.#once('producer', async () => {
      const { client } = await this.broker()
      return this.scope.use(new Producer({ client: createClient(client), log: this.log }), 'producer')
    })
  }

  /** @throws ConfigError; an object store that does not answer fails the first request */
  archive(): Promise<Archive> {
    return this.#once('s3', async () => {
      const config = s3Config(parseEnv(s3Env, this.env))
      return { s3: await this.scope.use(openS3(config), 's3'), prefix: config.prefix }
    })
  }

  /** @throws ConfigError, or what {@link postgres} throws */
  spotify(): Promise<Spotify> {
    return this.#once('spotify', async () => {
      const config = spotifyConfig(parseEnv(spotifyEnv, this.env))
      const sql = await this.postgres()
      return {
        config,
        gateway: await this.scope.use(openGateway({ sql, config, connections: 1 }), 'spotify'),
      }
    })
  }

  /** Releases what was opened, in reverse order. */
  close(): Promise<void> {
    return this.scope.close()
  }

  #once<T>(name: string, open: () => Promise<T>): Promise<T> {
    const known = this.#opened.get(name)
    if (known) return known as Promise<T>
    const opening = open()
    this.#opened.set(name, opening)
    opening.catch(() => this.#opened.delete(name))
    return opening
  }

  async #openPostgres(): Promise<Postgres> {
    const { DATABASE_URL: url } = parseEnv(postgresEnv, this.env)
    const postgres = openPostgres({ url, connections: 4, name: 'cli', log: this.log })
    try {
      await postgres.query('select 1')
    } catch (cause) {
      await postgres.close()
      const { host } = new URL(url.reveal())
      throw new OperatorFault(
        `Postgres at ${host} does not answer: ${describe(cause)}`,
        'Is it running, and is DATABASE_URL right? For the local servers: npm run infra',
        { cause },
      )
    }
    return this.scope.use(postgres, 'postgres')
  }
}
