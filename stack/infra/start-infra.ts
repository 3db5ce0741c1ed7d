import { mkdirSync } from 'node:fs'
import { lockFolder } from './folder-lock.ts'
import { type BrokerLinks, createKafka } from './kafka.ts'
import { stopOrphans } from './pid-records.ts'
import { documentedPorts, freePorts, type Ports, type RequiredPort, requireFree } from './ports.ts'
import { createPostgres, ensureDatabase } from './postgres.ts'
import { createRegistry, registryUrl } from './registry.ts'
import { createS3, s3Region } from './s3.ts'
import { readSecrets, type Secrets } from './secrets.ts'
import type { Server } from './server.ts'
import { StackFault } from './stack-fault.ts'

export interface InfraOptions {
  /** Absolute. For the logs, pid records and secrets of the servers; locked while they run. */
  dataDir: string
  /** Absolute. For the data of the servers; default `dataDir`. */
  storeDir?: string
  /** Absolute; filled by stack/setup.mjs. */
  jarsDir: string
  /** `documented`: fixed, and overridable by the environment. `free`: any free ones. */
  ports: 'documented' | 'free'
  /** Ports that others need later; a taken one is reported before any server starts. */
  alsoFree?: RequiredPort[]
  /** Three replicate every topic. Default 1. */
  brokers?: 1 | 3
  /** Ports at which clients reach the brokers in place of their own, one per broker. */
  advertisedPorts?: number[]
  /** If false, Postgres syncs nothing to disk: for data that are thrown away. Default true. */
  durable?: boolean
  /** Called once at most, when a server has ended by itself; the others still run. */
  onCrash?: (fault: StackFault) => void
  onProgress?: (progress: InfraProgress) => void
  /** Aborts a start. */
  signal?: AbortSignal
}

export type InfraProgress =
  | { type: 'recovered'; names: string[] }
  | { type: 'starting'; name: string }
  | { type: 'up'; name: string; tookMs: number }

export interface Infra {
  /** The settings that point the services at these servers (README, Configuration). */
  env: Record<string, string>
  servers: { kafka: Server[]; registry: Server; s3: Server; postgres: Server }
  /** Stops the servers in order and releases the folder, in bounded time; safe to call again. */
  stop(): Promise<void>
  /** Ends the servers at once. */
  killAll(): Promise<void>
}

const database = 'songswap'
const registryDatabase = 'registry'
const user = 'songswap'
const bucket = 'songswap'

/**
 * Starts Kafka, the schema registry, the S3 server and Postgres on loopback, and resolves when all of them serve.
 * First it stops the servers that a killed launcher left running in the folder.
 *
 * @throws StackFault if the folder is in use, a port is taken, or a server does not start; then nothing runs.
 */
export async function startInfra(options: InfraOptions): Promise<Infra> {
  mkdirSafely(options.dataDir)
  const lock = lockFolder(options.dataDir)
  try {
    const recovered = await stopOrphans(options.dataDir)
    if (recovered.length > 0) options.onProgress?.({ type: 'recovered', names: recovered })
    const brokers = options.brokers ?? 1
    const ports =
      options.ports === 'free' ? await freePorts(brokers) : await documentedPorts(process.env, brokers)
    for (const required of options.alsoFree ?? []) await requireFree(required)
    const secrets = readSecrets(options.dataDir)
    const links = options.advertisedPorts && {
      advertisedPorts: options.advertisedPorts,
      replicationPorts: (await freePorts(brokers)).kafka,
    }
    const servers = createServers(options, { ...ports, links }, secrets)
    const infra = { env: toEnv(ports, secrets, brokers), servers, ...stopping(servers, lock) }
    await startAll(infra, { options, ports, secrets })
    return infra
  } catch (error) {
    lock.release()
    throw error
  }
}

/** Ignores failure: the lock, which cannot be made then, reports it. */
function mkdirSafely(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true })
  } catch {}
}

function createServers(
  options: InfraOptions,
  ports: Ports & { links: BrokerLinks | undefined },
  secrets: Secrets,
): Infra['servers'] {
  const { dataDir, storeDir = dataDir, jarsDir, durable = true } = options
  let crashed = false
  const onCrash = (fault: StackFault) => {
    if (crashed) return
    crashed = true
    options.onCrash?.(fault)
  }
  const shared = { dataDir, storeDir, jarsDir, onCrash }
  const password = secrets.postgresPassword
  return {
    kafka: createKafka({
      ...shared,
      ports: ports.kafka,
      controllerPorts: ports.controller,
      ...(ports.links && { links: ports.links }),
    }),
    s3: createS3({
      ...shared,
      port: ports.s3,
      bucket,
      accessKeyId: secrets.s3AccessKeyId,
      secretAccessKey: secrets.s3SecretAccessKey,
    }),
    postgres: createPostgres({ ...shared, port: ports.postgres, user, password, durable }),
    registry: createRegistry({
      ...shared,
      port: ports.registry,
      database: { port: ports.postgres, name: registryDatabase, user, password },
    }),
  }
}

/** Starts all at once, but the registry after its database. If one fails, all are killed. */
async function startAll(
  infra: Infra,
  { options, ports, secrets }: { options: InfraOptions; ports: Ports; secrets: Secrets },
): Promise<void> {
  const { kafka, registry, s3, postgres } = infra.servers
  let failure: unknown
  const fail = (reason: unknown) => {
    failure ??= reason
    void infra.killAll()
  }
  const onAbort = () => fail(new StackFault('Stopped before all servers were up.'))
  const start = async (server: Server) => {
    if (failure) return
    const began = performance.now()
    options.onProgress?.({ type: 'starting', name: server.name })
    await server.start()
    options.onProgress?.({ type: 'up', name: server.name, tookMs: Math.round(performance.now() - began) })
  }
  const startDatabases = async () => {
    await start(postgres)
    const account = { port: ports.postgres, user, password: secrets.postgresPassword }
    await Promise.all([ensureDatabase(account, database), ensureDatabase(account, registryDatabase)])
    await start(registry)
  }
  options.signal?.addEventListener('abort', onAbort)
  if (options.signal?.aborted) onAbort()
  await Promise.all([startDatabases(), start(s3), ...kafka.map(start)].map((started) => started.catch(fail)))
  options.signal?.removeEventListener('abort', onAbort)
  if (!failure) return
  await infra.killAll()
  throw failure
}

/** Stops Postgres last, as the registry depends on it. */
function stopping(servers: Infra['servers'], lock: { release(): void }): Pick<Infra, 'stop' | 'killAll'> {
  const { kafka, registry, s3, postgres } = servers
  let stopped: Promise<void> | undefined
  const stopInOrder = async () => {
    await Promise.all([registry.stop(), s3.stop(), ...kafka.map((broker) => broker.stop())])
    await postgres.stop()
    lock.release()
  }
  return {
    stop() {
      stopped ??= stopInOrder()
      return stopped
    },
    async killAll() {
      await Promise.all([...kafka, registry, s3, postgres].map((server) => server.kill()))
    },
  }
}

function toEnv(ports: Ports, secrets: Secrets, brokers: number): Record<string, string> {
  const postgres = `${user}:${secrets.postgresPassword}@127.0.0.1:${ports.postgres}`
  return {
    KAFKA_BROKERS: ports.kafka.map((port) => `127.0.0.1:${port}`).join(','),
    KAFKA_REPLICATION_FACTOR: String(brokers),
    SCHEMA_REGISTRY_URL: registryUrl(ports.registry),
    DATABASE_URL: `postgres://${postgres}/${database}`,
    S3_ENDPOINT: `http://127.0.0.1:${ports.s3}`,
    S3_REGION: s3Region,
    S3_BUCKET: bucket,
    S3_PREFIX: 'raw',
    AWS_ACCESS_KEY_ID: secrets.s3AccessKeyId,
    AWS_SECRET_ACCESS_KEY: secrets.s3SecretAccessKey,
    TOKEN_ENCRYPTION_KEYS: secrets.tokenEncryptionKeys,
  }
}
