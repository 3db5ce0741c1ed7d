import { rmSync } from 'node:fs'
import { Client } from 'pg'
import type { KafkaConfig, S3Config } from '../../lib/config.ts'
import { kafkaConfig, kafkaEnv, parseEnv, postgresEnv, s3Config, s3Env } from '../../lib/config.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { Logger } from '../../lib/log.ts'
import { openLog } from '../../lib/log.ts'
import { migrateAll } from '../../lib/migrate.ts'
import { Secret } from '../../lib/secret.ts'
import type { Topology } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import type { Infra } from '../../stack/infra/start-infra.ts'
import { startInfra } from '../../stack/infra/start-infra.ts'
import { jarsDir } from '../../stack/settings.ts'
import { makeDataDir } from '../support/infra.ts'
import { treeCpuSeconds } from './usage.ts'

export type ServerName = 'kafka' | 'postgres' | 's3'

/** The local stack, durable as in `npm start`, on free ports; its data are removed at the end. */
export interface Stack {
  /** The settings that point at these servers (README, Configuration). */
  env: Record<string, string>
  kafka: KafkaConfig
  s3: S3Config
  topics: Topology
  log: Logger
  /** CPU seconds that a server has used so far. */
  cpu(server: ServerName): number
  /** Makes an empty database with all tables. @returns the environment that names it */
  freshDatabase(): Promise<{ DATABASE_URL: string }>
  dropDatabase(url: string): Promise<void>
  /** Makes topics under a new prefix. */
  freshTopics(name: string): Promise<{ KAFKA_PREFIX: string; topics: Topology }>
  /** Sets a group without members to the beginning of a topic. */
  rewind(group: string, topic: string): Promise<void>
  close(): Promise<void>
}

export async function openStack(): Promise<Stack> {
  const dataDir = makeDataDir()
  const onCrash = (fault: Error) => {
    console.error(fault.message)
    process.exitCode = 1
  }
  const infra = await startInfra({ dataDir, jarsDir, ports: 'free', onCrash })
  const log = openLog('bench', process.env.LOG_LEVEL ?? 'error')
  const settings = parseEnv({ ...kafkaEnv, ...postgresEnv, ...s3Env }, infra.env)
  const kafka = kafkaConfig(settings)
  const databaseUrl = settings.DATABASE_URL
  const topics = topology(kafka.prefix)
  await migrateAll({ kafka, databaseUrl, log })
  let databases = 0

  return {
    ...{ env: infra.env, kafka, s3: s3Config(settings), topics, log },
    cpu: (server) => serversOf(infra)[server].reduce((sum, pid) => sum + treeCpuSeconds(pid), 0),

    async freshDatabase() {
      const name = `bench_${++databases}`
      await onServer(infra.env, (client) => client.query(`create database ${name}`))
      const url = new URL(databaseUrl.reveal())
      url.pathname = `/${name}`
      await migrateAll({ kafka, databaseUrl: new Secret(url.href), log })
      return { DATABASE_URL: url.href }
    },

    dropDatabase: (url) =>
      onServer(infra.env, (client) =>
        client.query(`drop database ${new URL(url).pathname.slice(1)} with (force)`),
      ),

    async freshTopics(name) {
      const prefix = `${name}.`
      await migrateAll({ kafka: { ...kafka, prefix }, databaseUrl, log })
      return { KAFKA_PREFIX: prefix, topics: topology(prefix) }
    },

    async rewind(group, topic) {
      const admin = await openAdmin({ config: kafka, log, name: 'bench' })
      try {
        const ends = (await admin.readEnds(topic)) ?? []
        await admin.setOffsets(
          group,
          ends.map(({ partition, start }) => ({ topic, partition, offset: start })),
        )
      } finally {
        await admin.close()
      }
    },

    async close() {
      await infra.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

function serversOf(infra: Infra): Record<ServerName, number[]> {
  const { kafka, postgres, s3 } = infra.servers
  return {
    kafka: kafka.flatMap((server) => server.pid ?? []),
    postgres: postgres.pid === undefined ? [] : [postgres.pid],
    s3: s3.pid === undefined ? [] : [s3.pid],
  }
}

async function onServer(env: Record<string, string>, work: (client: Client) => Promise<unknown>) {
  const client = new Client({ connectionString: env.DATABASE_URL })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
