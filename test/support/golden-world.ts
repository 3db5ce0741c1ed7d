import { parseEnv, postgresEnv } from '../../lib/config.ts'
import { toEvent } from '../../lib/events.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { deadLetterHeaders } from '../../lib/kafka/dead-letter.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import type { DiscordSimulator } from '../../simulators/discord/simulator.ts'
import { startDiscordSimulator } from '../../simulators/discord/simulator.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import type { Stream } from './kafka.ts'
import { createStream } from './kafka.ts'
import type { Json } from './pages.ts'
import { idFor, item, localFile, pageBody, track } from './pages.ts'
import { startService } from './service.ts'
import { addUser, spotifyTestEnv } from './spotify.ts'
import { until } from './until.ts'

/** The world of the golden files: the same users, plays, gaps, dead letters and events in every run. */
export interface GoldenWorld {
  stream: Stream
  spotify: SpotifySimulator
  env: Record<string, string>
  release(): Promise<void>
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** A time that shows as "3h ago" for a whole run; its first ten minutes are of one day, as object names have days. */
function toBase(now: number): number {
  const base = now - 3 * hourMs - 20 * minuteMs
  const isOneDay = Math.floor(base / dayMs) === Math.floor((base + 10 * minuteMs) / dayMs)
  return isOneDay ? base : base - 15 * minuteMs
}

/** Call it within a test, as it starts a loader and an archiver to process the pages. */
export async function createGoldenWorld(): Promise<GoldenWorld> {
  const stream = await createStream()
  const spotify = await startSpotifySimulator({ listeners: 6, plays: 'none' })
  const discord = await startDiscordSimulator()
  const { DATABASE_URL: url } = parseEnv(postgresEnv, stream.env)
  const postgres = openPostgres({ url, connections: 2, name: 'test', log: stream.log })
  const { kafka } = await stream.openKafka()
  const parts = { stream, spotify, discord, postgres, kafka, base: toBase(Date.now()) }
  await addUsers(parts)
  await publishPages(parts)
  await loadAndArchive(parts)
  await publishPage(parts, 1, [item(parts.base + 5 * minuteMs, 'Late')], Date.now())
  await addTroubles(parts)
  await postgres.close()
  return {
    ...{ stream, spotify },
    env: {
      ...stream.env,
      ...spotifyTestEnv(spotify, { SPOTIFY_CLIENT_ID: 'golden', SPOTIFY_DAILY_REQUESTS: '600' }),
      DISCORD_WEBHOOK_URL: discord.webhookUrl,
    },
    async release() {
      await spotify.stop()
      await discord.stop()
      await stream.release()
    },
  }
}

interface Parts {
  stream: Stream
  spotify: SpotifySimulator
  discord: DiscordSimulator
  postgres: Postgres
  kafka: Kafka
  /** Unix ms of the first play. */
  base: number
}

/** Four users: one polled, one parked, one paused, and one whose polls have failed for three days. */
async function addUsers({ postgres, spotify, base }: Parts): Promise<void> {
  for (let listener = 0; listener < 4; listener++) await addUser(postgres, spotify, listener)
  const ago = (ms: number) => new Date(base - ms)
  await postgres.query('update users set created_at = $1, status_changed_at = $1, authorized_at = $2', [
    ago(9 * dayMs),
    ago(100 * dayMs),
  ])
  await postgres.query(
    `update users set status = 'needs_reauth', status_reason = 'invalid_grant', status_changed_at = $1 where id = 2`,
    [ago(dayMs)],
  )
  await postgres.query(
    `update users set status = 'paused', status_reason = 'moving house', status_changed_at = $1 where id = 3`,
    [ago(hourMs)],
  )
  await postgres.query('update users set authorized_at = null where id = 4')
  await postgres.query(
    `update poll_state set last_ok_at = $1, next_poll_at = now() + interval '90 minutes' where user_id = 1`,
    [ago(0)],
  )
  await postgres.query(
    `update poll_state set last_ok_at = $1, last_failed_at = $2, last_error = 'HTTP 500', failures = 7,
       next_poll_at = $2 where user_id = 4`,
    [ago(3 * dayMs), ago(0)],
  )
}

/** Pages of two users with common plays, a local file and an item without a track; and metadata of a track. */
async function publishPages(parts: Parts): Promise<void> {
  const { stream, kafka, base } = parts
  const at = (minutes: number) => base + minutes * minuteMs
  const context = { type: 'playlist', uri: 'spotify:playlist:golden' }
  await publishPage(parts, 1, [item(at(1), 'Second', { context }), item(at(0), 'First', { context })])
  await publishPage(parts, 1, [item(at(2), 'Third'), item(at(1), 'Second', { context })])
  await publishPage(parts, 2, [
    item(at(1), 'Second'),
    { ...item(at(2), 'x'), track: localFile('Tape') },
    { ...item(at(3), 'x'), track: null },
  ])
  const id = idFor('First')
  const body = Buffer.from(JSON.stringify({ ...track('First'), popularity: 40 }))
  const value = { endpoint: 'track', subject: id, source: 'enrich', status: 200, fetchedAt: base, body }
  await kafka.publish(stream.topology.metadata, [{ key: `track:${id}`, value, timestamp: base }])
}

async function publishPage(
  { stream, kafka, base }: Parts,
  user: number,
  items: Json[],
  timestamp = base,
): Promise<void> {
  const value = { endpoint: 'recently-played', subject: String(user), source: 'poll', status: 200 }
  const page = { ...value, fetchedAt: base + 5 * minuteMs, body: pageBody(items) }
  await kafka.publish(stream.topology.recentlyPlayed, [{ key: String(user), value: page, timestamp }])
}

async function loadAndArchive({ stream }: Parts): Promise<void> {
  const env = { ...stream.env, ARCHIVE_OBJECT_AGE_SECONDS: '1' }
  const services = await Promise.all((['loader', 'archiver'] as const).map((name) => startService(name, env)))
  const admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  const { groups, recentlyPlayed, metadata } = stream.topology
  const isDone = async (group: string, topic: string) => {
    const { partitions } = await admin.readGroupLag(group, [topic])
    return partitions.every((p) => p.lag === 0)
  }
  for (const topic of [recentlyPlayed.name, metadata.name]) {
    const loader = topic === metadata.name ? groups.loaderMetadata : groups.loaderHistory
    await until(() => isDone(loader, topic), `${loader} has caught up`)
    await until(() => isDone(groups.archiver, topic), `${topic} is archived`)
  }
  await Promise.all(services.map((s) => s.stop()))
  for (const group of [groups.archiver, groups.loaderHistory, groups.loaderMetadata]) {
    await until(async () => (await admin.describeGroup(group)).state === 'Empty', `${group} is empty`)
  }
  await admin.close()
}

/**
 * An open gap and a closed one, three dead letters, a resolved incident and an open one. Waiting records are young,
 * as the age of old ones costs a dozen requests and each part of the status has five seconds.
 */
async function addTroubles({ stream, postgres, kafka, base }: Parts): Promise<void> {
  const { topology, codec } = stream
  const at = (minutes: number) => new Date(base + minutes * minuteMs)
  await postgres.query(
    `insert into gaps (user_id, after, before, detected_at, closed_at) values
       (1, $1, $2, $3, null), (2, $1, $2, $3, $3)`,
    [at(-240), at(-60), at(-50)],
  )
  for (const [i, reason] of ['invalid_page', 'invalid_page', 'handler_error'].entries()) {
    const key = Buffer.from('1')
    const value = { endpoint: 'recently-played', subject: '1', source: 'poll', status: 200, fetchedAt: base }
    const bytes = await codec.encode(topology.recentlyPlayed, { ...value, body: Buffer.from(`no page ${i}`) })
    const original = { topic: topology.recentlyPlayed.name, partition: 3, offset: 41 + i, timestamp: base }
    const headers = deadLetterHeaders(
      { ...original, key, bytes, headers: [] },
      {
        ...{ group: topology.groups.loaderHistory, reason: reason as 'invalid_page', attempts: 1 },
        ...{ at: base + i * 1000, message: `the page has no items (${i})` },
      },
    )
    await kafka.publishBytes(topology.deadLetters.name, [{ key, value: bytes, headers }])
  }
  const events = [
    { type: 'budget_short', subject: 'app', message: 'The budget is short.', state: 'raised' },
    { type: 'budget_short', subject: 'app', message: 'The budget is enough.', state: 'resolved' },
    { type: 'user_needs_reauth', subject: 'user:2', message: 'User 2 has to agree again.', state: 'raised' },
  ] as const
  for (const [i, notice] of events.entries()) {
    const value = toEvent({ severity: 'warning', ...notice }, 'poller', at(-200 + i).getTime())
    await kafka.publish(topology.events, [{ key: notice.subject, value }])
  }
}
