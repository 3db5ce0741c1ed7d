import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import type { S3 } from '../../lib/s3.ts'
import { Secret } from '../../lib/secret.ts'
import { groupTopics } from '../../lib/topology.ts'
import type { DiscordSimulator } from '../../simulators/discord/simulator.ts'
import { startDiscordSimulator } from '../../simulators/discord/simulator.ts'
import { transientFaults } from '../../simulators/spotify/faults.ts'
import { artistOddities, playOddities, trackOddities } from '../../simulators/spotify/oddities.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { openTestS3 } from '../support/archive.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import type { ServiceProcess } from '../support/service-process.ts'
import { spawnService } from '../support/service-process.ts'
import { addUser, spotifyTestEnv } from '../support/spotify.ts'
import { until } from '../support/until.ts'
import {
  archiveFaults,
  bodyFaults,
  deliveryFaults,
  orderFaults,
  playFaults,
  readPublishedPages,
  readStoredPlays,
} from '../support/verify.ts'

/** How many faults strike; a long run sets it to some thousands. */
const faults = Number(process.env.E2E_FAULTS ?? 60)
/** Generous: how long a run may take that gets on. */
const faultMs = faults * 1_000
const listeners = Number(process.env.E2E_LISTENERS ?? 20)

let stream: Stream
let postgres: Postgres
let s3: S3
let admin: Admin
let spotify: SpotifySimulator
let discord: DiscordSimulator
const users: number[] = []

const shares = (names: readonly string[], share: number) => Object.fromEntries(names.map((n) => [n, share]))

beforeAll(async () => {
  stream = await createStream()
  postgres = openPostgres({
    url: new Secret(stream.env.DATABASE_URL ?? ''),
    connections: 4,
    name: 'test',
    log: stream.log,
  })
  s3 = openTestS3(stream.env)
  admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  discord = await startDiscordSimulator({})
  spotify = await startSpotifySimulator({
    listeners,
    speed: 120,
    seed: 7,
    mode: 'development',
    accessTokenSeconds: 20,
    refreshTokenRotation: 'rarely',
    hangMs: 3_000,
    slowBodyMs: 500,
    keepPages: 200_000,
    faults: { ...shares(transientFaults, 0.02), huge_page: 0.01 },
    oddities: shares([...trackOddities, ...artistOddities, ...playOddities], 0.02),
  })
  for (let listener = 0; listener < listeners; listener++)
    users.push(await addUser(postgres, spotify, listener))
})
afterAll(async () => {
  await Promise.all([spotify.stop(), discord.stop(), postgres.close(), admin.close(), s3.close()])
  await stream.release()
})

describe('the stream', () => {
  test(
    'under every fault of Spotify, stores exactly the plays that were delivered, and archives exactly the pages',
    async () => {
      const env = {
        ...stream.env,
        ...spotifyTestEnv(spotify),
        DISCORD_WEBHOOK_URL: discord.webhookUrl,
        POLL_MIN_INTERVAL_SECONDS: '1',
        POLL_MAX_INTERVAL_SECONDS: '3',
        POLL_LEASE_SECONDS: '10',
        POLL_CONCURRENCY: '8',
        ARCHIVE_OBJECT_AGE_SECONDS: '3',
        ALERT_DIGEST_SECONDS: '5',
        ENRICH_DEFER_SECONDS: '5',
        LOG_LEVEL: 'info',
      }
      const services = await startAll(env)
      const struck = () => Object.values(spotify.stats().faults).reduce((sum, count) => sum + count, 0)
      await until(() => struck() >= faults, 'the faults have struck', faultMs + 30_000)
      spotify.clearFaults()

      // One more play for everybody: whatever the hour of their day is, there is something to be found.
      for (let listener = 0; listener < listeners; listener++) spotify.givePlay(listener)
      const clearedAt = new Date()
      await until(() => everybodyWasPolled(clearedAt), 'everybody was polled again', 300_000)
      expect(await services.poller.end('SIGTERM')).toBe(0)
      // The enricher's pause after many refusals in a row grows with the time that they went on.
      await until(drained, 'every group has caught up', 120_000 + faultMs)

      const pages = await readPublishedPages(stream)
      const stored = await readStoredPlays(postgres)
      expect(pages.length).toBeGreaterThan(listeners)
      expect(deliveryFaults(spotify, users, pages)).toEqual([])
      expect(bodyFaults(spotify, pages)).toEqual([])
      expect(orderFaults(pages, 'fetchedAt')).toEqual([])
      expect(playFaults(pages, stored)).toEqual([])

      const archive = { s3, prefix: stream.env.S3_PREFIX ?? '' }
      expect(await archiveFaults(stream, archive, stream.topology.recentlyPlayed.name)).toEqual([])
      expect(await archiveFaults(stream, archive, stream.topology.metadata.name)).toEqual([])

      await accountingAddsUp(
        services.loader,
        pages.reduce((n, p) => n + p.items.length, 0),
      )
      await everyArtistIsAnswered()
      await until(() => discord.messages.length > 0, 'Discord heard of the rejected items')
      for (const name of ['archiver', 'loader', 'enricher', 'alerter'] as const) {
        expect([name, await services[name].end('SIGTERM')]).toEqual([name, 0])
      }
      const { rows } = await postgres.query("select id from users where status <> 'active'")
      expect(rows).toEqual([])
      noSecrets(Object.values(services))
    },
    400_000 + 2 * faultMs,
  )
})

async function startAll(env: Record<string, string>) {
  const names = ['archiver', 'loader', 'enricher', 'alerter', 'poller'] as const
  const started = await Promise.all(names.map(async (name) => [name, await spawnService(name, env)] as const))
  return Object.fromEntries(started) as Record<(typeof names)[number], ServiceProcess>
}

async function everybodyWasPolled(since: Date): Promise<boolean> {
  const text = 'select count(*) as n from poll_state where last_ok_at > $1'
  return (await postgres.query<{ n: number }>(text, [since])).rows[0]?.n === listeners
}

async function drained(): Promise<boolean> {
  const groups = [...groupTopics(stream.topology)]
  const lags = await Promise.all(
    groups.map(([group, topics]) =>
      admin.readGroupLag(
        group,
        topics.map((t) => t.name),
      ),
    ),
  )
  return lags.every((g) => g.partitions.every((p) => p.lag === 0))
}

/** Items delivered = stored + duplicates + named drops + rejected. */
async function accountingAddsUp(loader: ServiceProcess, items: number): Promise<void> {
  const count = (result: string) => loader.metric('songswap_plays_total', { result })
  const [stored, duplicates, dropped, rejected] = await Promise.all(
    ['stored', 'duplicate', 'dropped', 'rejected'].map(count),
  )
  expect((stored ?? 0) + (duplicates ?? 0) + (dropped ?? 0) + (rejected ?? 0)).toBe(items)
  const { rows } = await postgres.query<{ n: number }>('select count(*) as n from plays')
  expect(stored).toBe(rows[0]?.n)
  expect(dropped).toBeGreaterThan(0)
  expect(rejected).toBeGreaterThan(0)
}

async function everyArtistIsAnswered(): Promise<void> {
  const open = async () => {
    const { rows } = await postgres.query<{ n: number }>(
      // An artist without an id, as on local files, cannot be asked for.
      `select count(*) as n from artists
       where (metadata_status is null or metadata_status = 'requested') and id not like 'name:%'`,
    )
    return rows[0]?.n
  }
  await until(async () => (await open()) === 0, 'every artist has an answer', 120_000)
}

function noSecrets(services: ServiceProcess[]): void {
  const log = JSON.stringify(services.flatMap((s) => s.lines))
  for (let listener = 0; listener < listeners; listener++)
    expect(log).not.toContain(spotify.refreshToken(listener))
  expect(log).not.toContain(new URL(stream.env.DATABASE_URL ?? '').password)
  expect(log).not.toContain('a-secret')
}
