import { openCodec } from '../../lib/codec.ts'
import { kafkaConfig, kafkaEnv, parseEnv } from '../../lib/config.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { openLog } from '../../lib/log.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import type { S3 } from '../../lib/s3.ts'
import { Secret } from '../../lib/secret.ts'
import { groupTopics, topology } from '../../lib/topology.ts'
import type { Truth } from '../../simulators/spotify/truth.ts'
import { openTestS3 } from './archive.ts'
import type { Project } from './compose.ts'
import { readTopic } from './kafka.ts'
import type { Readable } from './verify.ts'

/** A running project, seen from the host through its ports on 127.0.0.1. */
export interface ComposeStream extends Readable {
  postgres: Postgres
  s3: S3
  admin: Admin
  /** Texts that no log may contain. */
  secrets: string[]
  count(sql: string): Promise<number>
  /** Lag of all groups together, or of the named one. */
  lag(group?: string): Promise<number>
  close(): Promise<void>
}

const services = '/secrets/services'

export async function openComposeStream(project: Project): Promise<ComposeStream> {
  const { ports } = project
  const read = (file: string) => project.read('archiver', `${services}/${file}`)
  const [url, accessKeyId, secretAccessKey, tokenKeys] = await Promise.all(
    ['database-url', 'aws-access-key-id', 'aws-secret-access-key', 'token-encryption-keys'].map(read),
  )
  const fromHost = new URL(url ?? '')
  fromHost.host = `127.0.0.1:${ports.postgres}`
  const log = openLog('test', 'silent')
  const kafka = kafkaConfig(
    parseEnv(kafkaEnv, {
      KAFKA_BROKERS: `127.0.0.1:${ports.kafka}`,
      SCHEMA_REGISTRY_URL: `http://127.0.0.1:${ports.registry}/apis/ccompat/v7`,
    }),
  )
  const t = topology()
  const admin = await openAdmin({ config: kafka, log, name: 'test' })
  const postgres = openPostgres({ url: new Secret(fromHost.href), connections: 2, name: 'test', log })
  const s3 = openTestS3({
    S3_ENDPOINT: `http://127.0.0.1:${ports.s3}`,
    S3_BUCKET: 'songswap',
    AWS_ACCESS_KEY_ID: accessKeyId ?? '',
    AWS_SECRET_ACCESS_KEY: secretAccessKey ?? '',
  })

  return {
    topology: t,
    codec: openCodec(kafka),
    readTopic: (topic) => readTopic({ config: kafka, log, name: 'test-reader' }, topic),
    postgres,
    s3,
    admin,
    secrets: [fromHost.password, secretAccessKey ?? '', (tokenKeys ?? '').split(':')[1] ?? ''],
    async count(sql) {
      const { rows } = await postgres.query<{ n: number }>(`select count(*) as n from ${sql}`)
      return rows[0]?.n ?? 0
    },
    async lag(only) {
      const groups = [...groupTopics(t)].filter(([group]) => only === undefined || group === only)
      const lags = await Promise.all(
        groups.map(([group, topics]) =>
          admin.readGroupLag(
            group,
            topics.map((topic) => topic.name),
          ),
        ),
      )
      return lags.flatMap((g) => g.partitions).reduce((sum, p) => sum + p.lag, 0)
    },
    async close() {
      await Promise.all([postgres.close(), admin.close(), s3.close()])
    },
  }
}

type DeliveredPlay = ReturnType<Truth['delivered']>[number]

/** The plays that the project's simulator has delivered. */
export async function readTruth(project: Project): Promise<{ truth: Pick<Truth, 'delivered'> }> {
  const answer = await fetch(`http://127.0.0.1:${project.ports.spotify}/_sim/truth`)
  const lines = (await answer.text()).split('\n').filter(Boolean)
  const plays = lines.map((line) => JSON.parse(line) as DeliveredPlay)
  return {
    truth: {
      delivered: (listener) => plays.filter((p) => listener === undefined || p.listener === listener),
    },
  }
}

/**
 * Gives every listener of the project's simulator a play every three seconds. So a play is among the 50 that
 * Spotify shows for two and a half minutes.
 *
 * @returns stops the plays
 */
export function keepPlaying(project: Project, listeners: number): () => void {
  const give = (listener: number) =>
    fetch(`http://127.0.0.1:${project.ports.spotify}/_sim/listeners/${listener}/plays`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
  const timer = setInterval(() => {
    // While the simulator's container is down there are no plays.
    void Promise.allSettled(Array.from({ length: listeners }, (_, i) => give(i)))
  }, 3_000)
  return () => clearInterval(timer)
}
