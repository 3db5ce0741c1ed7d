import { setTimeout as delay } from 'node:timers/promises'
import type { Codec } from '../../lib/codec.ts'
import { openCodec } from '../../lib/codec.ts'
import { kafkaConfig, kafkaEnv, parseEnv, postgresEnv } from '../../lib/config.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { createClient } from '../../lib/kafka/client.ts'
import { Producer } from '../../lib/kafka/producer.ts'
import { openLog } from '../../lib/log.ts'
import { migrateAll } from '../../lib/migrate.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import type { S3 } from '../../lib/s3.ts'
import { Secret } from '../../lib/secret.ts'
import { groupTopics, topology } from '../../lib/topology.ts'
import { startDiscordSimulator } from '../../simulators/discord/simulator.ts'
import { createRandom } from '../../simulators/random.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { archiveKeys, openTestS3 } from '../support/archive.ts'
import { readTopic } from '../support/kafka.ts'
import { addUser, spotifyTestEnv } from '../support/spotify.ts'
import { untilBack } from '../support/until.ts'
import type { Readable } from '../support/verify.ts'
import type { Cluster } from './cluster.ts'
import { startCluster } from './cluster.ts'
import type { Fault, Progress } from './faults.ts'
import { Fleet, serviceNames } from './fleet.ts'
import type { Round } from './schedule.ts'

/** The load of a run. */
export interface Load {
  listeners: number
  playsPerSecond: number
  /** Shortest and longest interval between polls of a listener. */
  pollSeconds: readonly [number, number]
}

/** A run of the whole stream on a real cluster, with the data that the checker compares at the end. */
export interface Run {
  cluster: Cluster
  fleet: Fleet
  spotify: SpotifySimulator
  postgres: Postgres
  s3: S3
  archivePrefix: string
  users: number[]
  stream: Readable
  /** Number of published poison records. */
  poison: () => number
  /** Users who are parked at the end, one a line with the reason; the drain connects them again. */
  parked: readonly string[]
  /** How many of them docs/guarantees.md allows: one for each request in flight of a killed poller. */
  lostTokensMax: () => number
  /** Committed offsets that have gone back, one a line. */
  offsetsGoneBack: readonly string[]
  /** Injects the faults of a round together, checks progress, heals them, and checks that everything moves again. */
  suffer: (round: Round<Fault>) => Promise<void>
  /** Polls every user once more, stops the poller, and waits until every group has no lag. */
  drain: () => Promise<void>
  /** Lets the loader alone take every page once more, and returns the names of changed tables. */
  replay: () => Promise<string[]>
  close: () => Promise<void>
}

const log = openLog('chaos', 'silent')
const recoversWithinMs = 150_000
const pollsAtOnce = 16

export interface RunOptions {
  seed: number
  load: Load
  /** Where the services log. */
  logDir: string
  /** With 1 every partition has a single replica. Default 3. */
  brokers?: 1 | 3
}

export async function startRun(options: RunOptions): Promise<Run> {
  const { seed, load } = options
  const cluster = await startCluster(options.brokers ?? 3)
  const settings = parseEnv({ ...kafkaEnv, ...postgresEnv }, cluster.direct)
  const config = kafkaConfig(settings)
  await migrateAll({ kafka: config, databaseUrl: settings.DATABASE_URL, log })
  const topics = topology()
  const client = { config, log, name: 'chaos' }
  const postgres = openPostgres({
    url: new Secret(cluster.direct.DATABASE_URL ?? ''),
    connections: 4,
    name: 'chaos',
    log,
  })
  const s3 = openTestS3(cluster.direct)
  const archivePrefix = cluster.direct.S3_PREFIX ?? ''

  const discord = await startDiscordSimulator({})
  const spotify = await startSpotifySimulator({
    listeners: load.listeners,
    plays: 'none',
    seed,
    accessTokenSeconds: 30,
    refreshTokenRotation: 'rarely',
  })
  const users: number[] = []
  for (let i = 0; i < load.listeners; i++) users.push(await addUser(postgres, spotify, i))

  const fleet = new Fleet({
    logDir: options.logDir,
    dataDir: cluster.dataDir,
    env: {
      ...cluster.linked,
      ...spotifyTestEnv(spotify, { SPOTIFY_TIMEOUT_SECONDS: '3' }),
      DISCORD_WEBHOOK_URL: discord.webhookUrl,
      POLL_MIN_INTERVAL_SECONDS: String(load.pollSeconds[0]),
      POLL_MAX_INTERVAL_SECONDS: String(load.pollSeconds[1]),
      POLL_LEASE_SECONDS: '12',
      POLL_IDLE_SECONDS: '1',
      POLL_CONCURRENCY: String(pollsAtOnce),
      ARCHIVE_OBJECT_AGE_SECONDS: '4',
      ALERT_DIGEST_SECONDS: '5',
      // The suite publishes poison on purpose; the limit of dead letters has its own tests.
      DEAD_LETTER_FLOOD_PERCENT: '100',
    },
  })
  for (const name of serviceNames) await fleet.scale(name, 1)
  const listening = startListening({ spotify, load, seed })
  const offsets = watchOffsets(client)
  let poison = 0
  const parked: string[] = []
  /** A poller that is killed between Spotify's answer and the write of the token loses the new token. */
  let killedPollers = 0

  async function publishPoison(records: number): Promise<void> {
    const producer = new Producer({ client: createClient(client), log })
    const kinds = [Buffer.from('poison'), Buffer.from([0, 0, 0, 0xff, 0xff]), Buffer.alloc(0)]
    await producer.publish(
      topics.recentlyPlayed.name,
      Array.from({ length: records }, (_, i) => ({
        key: String(users[i % users.length]),
        value: kinds[i % 3] ?? null,
      })),
    )
    poison += records
    await producer.close()
  }

  const arena = { cluster, fleet, random: createRandom(seed, 3), publishPoison }
  const counters = countersOf({ postgres, s3, archivePrefix })

  // The first fault strikes a moving stream.
  const begun = { at: new Date(), counts: await counters.read() }
  for (const what of ['published', 'stored', 'archived'] as const) {
    await untilBack(
      () => counters.moved(what, begun.counts, begun.at),
      `${what} at the start`,
      recoversWithinMs,
    )
  }

  async function suffer(round: Round<Fault>): Promise<void> {
    const since = new Date()
    const before = await untilBack(() => counters.read(), 'Postgres answers', 60_000)
    const heals: (() => Promise<void>)[] = []
    for (const fault of round) heals.push(await fault.inject(arena))
    if (round.some((fault) => fault.killsPollers)) killedPollers++
    await delay(Math.max(...round.map((f) => f.holdMs)))
    const [alone] = round
    if (round.length === 1 && alone) {
      for (const what of alone.during) {
        await untilBack(() => counters.moved(what, before, since), `${what} while: ${alone.name}`, 60_000)
      }
    }
    for (const heal of heals.toReversed()) await heal()
    const healed = {
      at: new Date(),
      counts: await untilBack(() => counters.read(), 'Postgres answers', 60_000),
    }
    for (const what of ['published', 'stored', 'archived'] as const) {
      const names = round.map((f) => f.name).join(' + ')
      await untilBack(
        () => counters.moved(what, healed.counts, healed.at),
        `${what} again after: ${names}`,
        recoversWithinMs,
      )
    }
  }

  /** Connects parked users again, as they would; the checker decides whether their number is allowed. */
  async function connectParked(): Promise<void> {
    const { rows } = await postgres.query<{ id: number; status: string; reason: string | null }>(
      `select id, status, status_reason as reason from users where status <> 'active'`,
    )
    for (const { id, status, reason } of rows) {
      const listener = users.indexOf(id)
      parked.push(`user ${id}: ${status}, ${reason}`)
      await addUser(postgres, spotify, listener)
    }
  }

  async function drain(): Promise<void> {
    listening.stop()
    await connectParked()
    const stoppedAt = new Date()
    await untilBack(
      async () => {
        const { rows } = await postgres.query<{ n: number }>(
          'select count(*) as n from poll_state where last_ok_at > $1',
          [stoppedAt],
        )
        return rows[0]?.n === load.listeners
      },
      'everybody is polled after the last play',
      recoversWithinMs,
    )
    await fleet.scale('poller', 0)
    const admin = await openAdmin(client)
    await untilBack(
      async () => {
        const lags = await Promise.all(
          [...groupTopics(topics)].map(([g, t]) =>
            admin.readGroupLag(
              g,
              t.map((x) => x.name),
            ),
          ),
        )
        return lags.every((g) => g.partitions.every((p) => p.lag === 0))
      },
      'every group has caught up',
      300_000,
    )
    await admin.close()
  }

  async function replay(): Promise<string[]> {
    await fleet.scale('loader', 0)
    const before = await checksums(postgres)
    const raw = createClient(client).admin()
    await raw.connect()
    const { loaderHistory } = topics.groups
    const emptied = async () => (await raw.describeGroups([loaderHistory])).groups[0]?.members.length === 0
    await untilBack(emptied, 'the group of the loader is empty', 60_000)
    await raw.resetOffsets({ groupId: loaderHistory, topic: topics.recentlyPlayed.name, earliest: true })
    await raw.disconnect()
    await fleet.scale('loader', 1)
    const admin = await openAdmin(client)
    await untilBack(
      async () => {
        const { partitions } = await admin.readGroupLag(loaderHistory, [topics.recentlyPlayed.name])
        // Offsets before the first record do not count, so a lag of zero means that all is read.
        return partitions.every((p) => p.lag === 0)
      },
      'every page was taken again',
      300_000,
    )
    await admin.close()
    const after = await checksums(postgres)
    return Object.keys(before).filter((table) => before[table] !== after[table])
  }

  return {
    replay,
    cluster,
    fleet,
    spotify,
    postgres,
    s3,
    archivePrefix,
    users,
    stream: {
      topology: topics,
      codec: patient(openCodec(config)),
      readTopic: (topic) => readTopic(client, topic),
    },
    poison: () => poison,
    parked,
    lostTokensMax: () => killedPollers * pollsAtOnce,
    offsetsGoneBack: offsets.goneBack,
    suffer,
    drain,
    async close() {
      listening.stop()
      await offsets.stop()
      fleet.kill()
      await Promise.all([spotify.stop(), discord.stop(), postgres.close(), s3.close()])
      await cluster.stop()
    },
  }
}

/** A codec that retries, as the registry's first answers after a restart of its database are errors. */
function patient(codec: Codec): Codec {
  return {
    ...codec,
    decode: (bytes) => untilBack(() => codec.decode(bytes), 'the registry answers', 60_000),
  }
}

/** Gives plays to listeners at a steady rate, so that the stream always moves. */
function startListening({ spotify, load, seed }: { spotify: SpotifySimulator; load: Load; seed: number }) {
  const random = createRandom(seed, 4)
  const everyMs = Math.max(20, 1000 / load.playsPerSecond)
  const perTurn = Math.max(1, Math.round((load.playsPerSecond * everyMs) / 1000))
  const timer = setInterval(() => {
    for (let i = 0; i < perTurn; i++) spotify.givePlay(random.int(load.listeners))
  }, everyMs)
  return { stop: () => clearInterval(timer) }
}

/**
 * Columns that a replay of pages must not change, by table. Left out are `fetched_at`, which a new process moves
 * forward when it sees an unchanged row, and columns from metadata, which are not replayed here.
 */
const replayed: Record<string, string> = {
  plays: 't.*',
  rejected_items: 't.*',
  gaps: 'user_id, after, before, detected_at, closed_at',
  albums: 'id, name, album_type, release_date, images',
  tracks: 'id, name, duration_ms, explicit, isrc, album_id',
  artists: 'id, name',
  track_artists: 't.*',
  track_popularity: 'id, observed_on, value',
}

async function checksums(postgres: Postgres): Promise<Record<string, string>> {
  const sums: Record<string, string> = {}
  for (const [table, columns] of Object.entries(replayed)) {
    const text = `select coalesce(sum(hashtextextended(row(${columns})::text, 0)), 0)::text as sum from ${table} t`
    sums[table] = (await postgres.query<{ sum: string }>(text)).rows[0]?.sum ?? ''
  }
  return sums
}

interface Counts {
  plays: number
  objects: number
}

function countersOf({ postgres, s3, archivePrefix }: { postgres: Postgres; s3: S3; archivePrefix: string }) {
  const plays = async () =>
    (await postgres.query<{ n: number }>('select count(*) as n from plays')).rows[0]?.n ?? 0
  const objects = async () => (await archiveKeys(s3, archivePrefix)).length
  return {
    read: async (): Promise<Counts> => ({ plays: await plays(), objects: await objects() }),
    /** Whether there is progress since; read past the links, so that a fault does not hide it. */
    async moved(what: Progress, before: Counts, since: Date): Promise<boolean> {
      if (what === 'stored') return (await plays()) > before.plays
      if (what === 'archived') return (await objects()) > before.objects
      const text = 'select count(*) as n from poll_state where last_ok_at > $1'
      return ((await postgres.query<{ n: number }>(text, [since])).rows[0]?.n ?? 0) > 0
    },
  }
}

/** Records committed offsets that go back. A broker that does not answer is asked again later. */
function watchOffsets(client: Parameters<typeof openAdmin>[0]) {
  const goneBack: string[] = []
  const highest = new Map<string, number>()
  const stop = new AbortController()

  async function look(): Promise<void> {
    const admin = await openAdmin(client)
    try {
      while (!stop.signal.aborted) {
        for (const [group, topics] of groupTopics(topology())) {
          const { partitions } = await admin.readGroupLag(
            group,
            topics.map((t) => t.name),
          )
          for (const { topic, partition, committed } of partitions) {
            const name = `${group} ${topic}/${partition}`
            const before = highest.get(name) ?? 0
            if (committed === null) continue
            if (committed < before) goneBack.push(`${name}: from ${before} to ${committed}`)
            highest.set(name, Math.max(before, committed))
          }
        }
        await delay(1_000, undefined, { signal: stop.signal }).catch(() => undefined)
      }
    } finally {
      await Promise.resolve(admin.close()).catch(() => undefined)
    }
  }

  const watching = (async () => {
    while (!stop.signal.aborted) {
      await look().catch(() => undefined)
      await delay(500)
    }
  })()
  return {
    goneBack,
    async stop() {
      stop.abort()
      await Promise.race([watching, delay(5_000)])
    },
  }
}
