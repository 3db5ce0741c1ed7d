import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { kafkaConfig, kafkaEnv, parseEnv } from '../../lib/config.ts'
import { createClient } from '../../lib/kafka/client.ts'
import { openLog } from '../../lib/log.ts'
import { topology } from '../../lib/topology.ts'
import type { Random } from '../../simulators/random.ts'
import type { S3Fault } from '../support/s3-faults.ts'
import type { LinkMode } from '../support/tcp-proxy.ts'
import { untilBack } from '../support/until.ts'
import type { Cluster } from './cluster.ts'
import type { Fleet, ServiceName } from './fleet.ts'
import { serviceNames } from './fleet.ts'

/** The parts of a run that faults change. */
export interface Arena {
  cluster: Cluster
  fleet: Fleet
  random: Random
  /** Publishes foreign bytes to the topic of pages. */
  publishPoison: (records: number) => Promise<void>
}

/** Progress that a fault must not stop. */
export type Progress = 'published' | 'stored' | 'archived'

export interface Fault {
  name: string
  /** Milliseconds between injection and healing. */
  holdMs: number
  during: readonly Progress[]
  /** It may end a poller between Spotify's answer to a refresh and the write of the token. */
  killsPollers?: true
  /** @returns heals it */
  inject: (arena: Arena) => Promise<() => Promise<void>>
}

const nothing = async () => undefined

function kill(...names: ServiceName[]): Fault {
  return {
    name: `SIGKILL ${names.join(' and ')}`,
    ...(names.includes('poller') ? { killsPollers: true } : {}),
    holdMs: 3_000,
    during: (['published', 'stored', 'archived'] as const).filter(
      (what) => !names.some((n) => makes[n] === what),
    ),
    async inject({ fleet }) {
      for (const name of names) fleet.signal(name, 'SIGKILL')
      return nothing
    },
  }
}

/** The progress that each service makes, which its death stops. */
const makes: Record<ServiceName, Progress | null> = {
  poller: 'published',
  loader: 'stored',
  archiver: 'archived',
  enricher: null,
  alerter: null,
}

/** Frozen for longer than the session timeout: the group goes on without the member, which returns as a zombie. */
function zombie(name: ServiceName): Fault {
  return {
    name: `SIGSTOP ${name} for longer than its session`,
    holdMs: 16_000,
    during: [],
    async inject({ fleet }) {
      fleet.signal(name, 'SIGSTOP')
      return async () => fleet.signal(name, 'SIGCONT')
    },
  }
}

function broker(
  name: string,
  holdMs: number,
  act: (arena: Arena, node: number) => Promise<() => Promise<void>>,
): Fault {
  return { name, holdMs, during: ['published', 'stored'], inject: (arena) => act(arena, arena.random.int(3)) }
}

/** A broker's place in the cluster. */
function serverOf({ cluster }: Arena, node: number) {
  const server = cluster.servers.kafka[node]
  if (!server) throw new Error(`no broker ${node}`)
  return server
}

const brokerFaults: Fault[] = [
  broker('SIGKILL a broker', 5_000, async (arena, node) => {
    await serverOf(arena, node).kill('SIGKILL')
    return () => serverOf(arena, node).start()
  }),
  broker('SIGTERM a broker', 5_000, async (arena, node) => {
    await serverOf(arena, node).stop()
    return () => serverOf(arena, node).start()
  }),
  {
    // Requests to a frozen leader hang until they time out, so progress is checked after the thaw.
    ...broker('SIGSTOP a broker', 12_000, async (arena, node) => {
      await serverOf(arena, node).kill('SIGSTOP')
      return () => serverOf(arena, node).kill('SIGCONT')
    }),
    during: [],
  },
  {
    name: 'rolling restart of the brokers',
    holdMs: 0,
    during: [],
    async inject(arena) {
      for (const node of [0, 1, 2]) {
        await serverOf(arena, node).stop()
        await serverOf(arena, node).start()
      }
      return nothing
    },
  },
]

type LinkName = 'kafka' | 'registry' | 'postgres' | 's3'

function linkFault(to: LinkName, mode: LinkMode, holdMs: number): Fault {
  const stops: Record<LinkName, Progress[]> = {
    kafka: ['published', 'stored', 'archived'],
    registry: [],
    postgres: ['published', 'stored'],
    s3: ['archived'],
  }
  const all: Progress[] = ['published', 'stored', 'archived']
  return {
    name: `link to ${to}: ${mode.type}`,
    holdMs,
    during: mode.type === 'delay' ? [] : all.filter((what) => !stops[to].includes(what)),
    async inject({ cluster, random }) {
      // One broker's link only: without two of three Kafka is down, which is a fault of its own.
      const links =
        to === 'kafka' ? cluster.links.kafka.slice(random.int(3)).slice(0, 1) : [cluster.links[to]]
      for (const link of links) {
        link.setMode(mode)
        if (mode.type === 'refuse' || mode.type === 'pooler') link.cut()
      }
      return async () => {
        for (const link of links) {
          link.setMode({ type: 'open' })
          // A connection with lost data cannot recover, so it is closed, as a router does in the end.
          if (mode.type === 'silent' || mode.type === 'half') link.cut()
        }
      }
    },
  }
}

function cut(to: LinkName): Fault {
  return {
    name: `link to ${to}: cut`,
    holdMs: 500,
    during: [],
    async inject({ cluster }) {
      const links = to === 'kafka' ? cluster.links.kafka : [cluster.links[to]]
      for (const link of links) link.cut()
      return nothing
    },
  }
}

/** A refusal by TLS is an outage: nothing is dead-lettered and no process ends. */
function expire(to: 'postgres' | 's3', during: Progress[]): Fault {
  return {
    name: `the certificate of ${to} expires`,
    holdMs: 8_000,
    during,
    async inject({ cluster }) {
      const front = cluster.fronts[to]
      front.present('expired')
      front.cut()
      return async () => front.present('valid')
    },
  }
}

function s3Fault(
  name: string,
  decide: (random: Random, method: string) => S3Fault | null | Promise<null>,
): Fault {
  return {
    name: `S3: ${name}`,
    holdMs: 6_000,
    during: ['published', 'stored'],
    async inject({ cluster, random }) {
      cluster.s3Gate.onRequest = (method) => decide(random, method)
      return async () => {
        cluster.s3Gate.onRequest = () => null
      }
    },
  }
}

const s3Status = (status: number, code: string) =>
  s3Fault(`answers ${status}`, (random) => (random.chance(0.7) ? { type: 'status', status, code } : null))

const postgresFaults: Fault[] = [
  {
    name: 'SIGKILL Postgres',
    holdMs: 3_000,
    during: [],
    async inject({ cluster }) {
      await cluster.servers.postgres.kill('SIGKILL')
      return () => cluster.servers.postgres.start()
    },
  },
  {
    name: 'restart Postgres',
    holdMs: 1_000,
    during: [],
    async inject({ cluster }) {
      await cluster.servers.postgres.stop()
      return () => cluster.servers.postgres.start()
    },
  },
  {
    name: 'terminate every session of Postgres',
    holdMs: 500,
    during: [],
    inject: async ({ cluster }) => {
      await onPostgres(cluster, (client) =>
        client.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'songswap-%'",
        ),
      )
      return nothing
    },
  },
  {
    name: 'deadlocks in Postgres',
    holdMs: 0,
    during: [],
    async inject({ cluster }) {
      // Repeatedly locks rows of the catalogue against the loader's order.
      await onPostgres(cluster, async (client) => {
        for (let i = 0; i < 20; i++) {
          await client.query('begin')
          try {
            await client.query("set local deadlock_timeout = '10s'")
            await client.query('select 1 from tracks order by id desc limit 200 for update')
            await delay(50)
            await client.query('select 1 from artists order by id desc limit 200 for update')
          } catch {
            // Postgres may choose this session as the victim, which is as good.
          }
          await client.query('rollback')
        }
      })
      return nothing
    },
  },
  {
    name: 'a lock that makes the loader hang while its group is rebalanced',
    holdMs: 12_000,
    during: ['published'],
    async inject({ cluster, fleet }) {
      const client = new Client({ connectionString: cluster.direct.DATABASE_URL })
      await client.connect()
      await client.query('begin')
      await client.query('lock table plays in access exclusive mode')
      await fleet.scale('loader', 2)
      return async () => {
        await client.query('rollback')
        await client.end()
        await fleet.scale('loader', 1)
      }
    },
  },
]

/** Repeatedly moves the leadership of every partition of the pages to another broker. */
const movingLeaders: Fault = {
  name: 'leadership moves while the archiver holds records',
  holdMs: 2_000,
  during: [],
  async inject({ cluster }) {
    const topic = topology().recentlyPlayed.name
    const config = kafkaConfig(parseEnv(kafkaEnv, cluster.direct))
    const admin = createClient({ config, log: openLog('chaos', 'silent'), name: 'chaos-leaders' }).admin()
    await admin.connect()
    const assign = async (replicasOf: (leader: number) => number[]) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const partitionAssignment = (topics[0]?.partitions ?? []).map(({ partitionId, leader }) => ({
        partition: partitionId,
        replicas: replicasOf(leader),
      }))
      await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] })
    }
    const everywhere = (leader: number) => [leader, ...brokers.filter((id) => id !== leader)]
    for (let turn = 0; turn < 4; turn++) {
      // A leader that loses its replica must hand over. Another fault may prevent the move, which is as good.
      for (const replicasOf of [(leader: number) => brokers.filter((id) => id !== leader), everywhere]) {
        await assign(replicasOf).catch(() => undefined)
        await delay(1_500)
      }
    }
    return async () => {
      await untilBack(() => assign(everywhere).then(() => true), 'the replicas are everywhere again', 60_000)
      await admin.disconnect()
    }
  },
}

const brokers = [1, 2, 3]

async function onPostgres(cluster: Cluster, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: cluster.direct.DATABASE_URL })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

const pooler: LinkMode = {
  type: 'pooler',
  sqlState: 'XX000',
  message: 'server login has been failing, try again later',
}

/** Every fault of the suite. */
export const faults: readonly Fault[] = [
  ...serviceNames.map((name) => kill(name)),
  kill('poller', 'loader'),
  kill('archiver', 'loader'),
  kill('enricher', 'alerter'),
  ...(['poller', 'archiver', 'loader', 'enricher'] as const).map(zombie),
  ...brokerFaults,
  movingLeaders,
  ...postgresFaults,
  linkFault('kafka', { type: 'delay', ms: 300 }, 6_000),
  linkFault('kafka', { type: 'half' }, 6_000),
  linkFault('kafka', { type: 'silent' }, 8_000),
  linkFault('kafka', { type: 'refuse' }, 6_000),
  cut('kafka'),
  linkFault('postgres', { type: 'refuse' }, 5_000),
  linkFault('postgres', { type: 'delay', ms: 200 }, 6_000),
  linkFault('postgres', { type: 'silent' }, 8_000),
  cut('postgres'),
  {
    ...linkFault('postgres', pooler, 8_000),
    name: 'a pooler between, whose server is away',
  },
  expire('postgres', ['archived']),
  expire('s3', ['published', 'stored']),
  linkFault('registry', { type: 'refuse' }, 5_000),
  linkFault('registry', { type: 'silent' }, 5_000),
  linkFault('s3', { type: 'refuse' }, 6_000),
  linkFault('s3', { type: 'delay', ms: 500 }, 6_000),
  cut('s3'),
  {
    name: 'registry away while every service starts',
    killsPollers: true,
    holdMs: 8_000,
    during: [],
    async inject({ cluster, fleet }) {
      cluster.links.registry.setMode({ type: 'refuse' })
      cluster.links.registry.cut()
      for (const name of serviceNames) fleet.signal(name, 'SIGKILL')
      return async () => cluster.links.registry.setMode({ type: 'open' })
    },
  },
  {
    name: 'SIGKILL the registry',
    holdMs: 2_000,
    during: ['published', 'stored'],
    async inject({ cluster }) {
      await cluster.servers.registry.kill('SIGKILL')
      return () => cluster.servers.registry.start()
    },
  },
  s3Status(500, 'InternalError'),
  s3Status(503, 'SlowDown'),
  s3Status(409, 'ConditionalRequestConflict'),
  // A full disk of the store, as S3Proxy and others answer it.
  s3Status(507, 'InsufficientStorage'),
  s3Fault('answers 412 to puts that it has done', (random, method) =>
    method === 'PUT' && random.chance(0.5) ? { type: 'lost-answer' } : null,
  ),
  s3Fault('dies in the middle of uploads', (random, method) =>
    method === 'PUT' && random.chance(0.7) ? { type: 'cut-body' } : null,
  ),
  s3Fault('slow', async () => {
    await delay(400)
    return null
  }),
  {
    name: 'a flood of poison records',
    holdMs: 1_000,
    during: ['published', 'archived'],
    inject: async ({ publishPoison }) => {
      await publishPoison(60)
      return nothing
    },
  },
  {
    name: 'loader scaled 1 to 4 to 2',
    holdMs: 6_000,
    during: ['published', 'archived'],
    async inject({ fleet }) {
      await fleet.scale('loader', 4)
      return async () => {
        await fleet.scale('loader', 2)
        await delay(3_000)
        await fleet.scale('loader', 1)
      }
    },
  },
  {
    name: "the poller's clock steps by an hour",
    holdMs: 6_000,
    during: ['stored', 'archived'],
    async inject({ fleet }) {
      fleet.signal('poller', 'SIGHUP')
      return async () => fleet.signal('poller', 'SIGHUP')
    },
  },
]
