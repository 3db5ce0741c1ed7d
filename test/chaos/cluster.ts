import { rmSync } from 'node:fs'
import type { Infra } from '../../stack/infra/start-infra.ts'
import { startInfra } from '../../stack/infra/start-infra.ts'
import { jarsDir } from '../../stack/settings.ts'
import { makeCertificates } from '../support/certificates.ts'
import { makeDataDir } from '../support/infra.ts'
import { startReaper } from '../support/reaper.ts'
import type { S3Gate } from '../support/s3-faults.ts'
import { openS3Gate } from '../support/s3-faults.ts'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'
import type { TlsFront } from '../support/tls-front.ts'
import { openTlsFront } from '../support/tls-front.ts'

/** Links whose faults the suite controls, by their targets. */
export interface Links {
  kafka: TcpProxy[]
  registry: TcpProxy
  postgres: TcpProxy
  s3: TcpProxy
}

/** TLS in front of servers, with certificates that can expire. */
export interface Fronts {
  postgres: TlsFront
  s3: TlsFront
}

/** A real Kafka cluster, registry, S3 server and Postgres, each behind a link. */
export interface Cluster {
  servers: Infra['servers']
  links: Links
  fronts: Fronts
  s3Gate: S3Gate
  /** Addresses for the services, all over the links. */
  linked: Record<string, string>
  /** Addresses for the suite itself, past the links. Only Kafka's lead over its links, which are open at the end. */
  direct: Record<string, string>
  /** Processes that are recorded in it end with this one; see {@link startReaper}. */
  dataDir: string
  stop(): Promise<void>
}

export async function startCluster(brokers: 1 | 3): Promise<Cluster> {
  const dataDir = makeDataDir()
  const reaper = startReaper(dataDir)
  const kafka = await Promise.all(Array.from({ length: brokers }, () => openTcpProxy({ port: 0 })))
  const infra = await startInfra({
    dataDir,
    jarsDir,
    ports: 'free',
    brokers,
    advertisedPorts: kafka.map((p) => p.port),
    durable: true,
  })
  for (const [i, broker] of brokersOf(infra.env).entries()) kafka[i]?.retarget(portOf(`http://${broker}`))
  const s3Gate = await openS3Gate(infra.env.S3_ENDPOINT ?? '')
  const [registry, postgres, s3] = await Promise.all(
    [infra.env.SCHEMA_REGISTRY_URL, infra.env.DATABASE_URL, s3Gate.endpoint].map((url) =>
      openTcpProxy({ port: portOf(url ?? '') }),
    ),
  )
  if (!registry || !postgres || !s3) throw new Error('a link is missing')
  const direct: Record<string, string> = {
    ...infra.env,
    KAFKA_BROKERS: kafka.map((p) => `127.0.0.1:${p.port}`).join(','),
  }
  const links = { kafka, registry, postgres, s3 }
  const certificates = makeCertificates(dataDir)
  const fronts = {
    postgres: await openTlsFront({ target: postgres.port, certificates, speaks: 'postgres' }),
    s3: await openTlsFront({ target: s3.port, certificates, speaks: 'tls' }),
  }
  return {
    servers: infra.servers,
    links,
    fronts,
    s3Gate,
    direct,
    dataDir,
    linked: {
      ...direct,
      SCHEMA_REGISTRY_URL: through(direct.SCHEMA_REGISTRY_URL, registry),
      DATABASE_URL: `${through(direct.DATABASE_URL, fronts.postgres)}?sslmode=verify-full&sslrootcert=${certificates.caFile}`,
      S3_ENDPOINT: `https://127.0.0.1:${fronts.s3.port}`,
      NODE_EXTRA_CA_CERTS: certificates.caFile,
    },
    async stop() {
      await infra.stop()
      await Promise.all([...Object.values(fronts), ...kafka, registry, postgres, s3].map((p) => p.close()))
      await s3Gate.close()
      rmSync(dataDir, { recursive: true, force: true })
      reaper.dismiss()
    },
  }
}

/** An address with the port of a link. */
export function through(url: string | undefined, link: { port: number }): string {
  const linked = new URL(url ?? '')
  linked.port = String(link.port)
  return linked.href.replace(/\/$/, '')
}

const brokersOf = (env: Record<string, string>) => (env.KAFKA_BROKERS ?? '').split(',')
const portOf = (url: string) => Number(new URL(url).port)
