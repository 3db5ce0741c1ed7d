import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Checkpoint } from '../../lib/checkpoint.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { S3 } from '../../lib/s3.ts'
import type { DiscordSimulator } from '../../simulators/discord/simulator.ts'
import { startDiscordSimulator } from '../../simulators/discord/simulator.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { openTestS3 } from '../support/archive.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { spawnService } from '../support/service-process.ts'
import { addUser, spotifyTestEnv } from '../support/spotify.ts'
import { until } from '../support/until.ts'
import { archiveFaults, playFaults, readPublishedPages, readStoredPlays } from '../support/verify.ts'

/** Each test kills a process with SIGKILL at one named moment, starts it again, and counts. */

let stream: Stream
let postgres: Postgres
let s3: S3
let admin: Admin
let spotify: SpotifySimulator
let discord: DiscordSimulator
let env: Record<string, string>
let user: number

beforeAll(async () => {
  stream = await createStream()
  postgres = stream.openPostgres(2)
  s3 = openTestS3(stream.env)
  admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  spotify = await startSpotifySimulator({ listeners: 8, plays: 'none' })
  discord = await startDiscordSimulator({})
  env = {
    ...stream.env,
    ...spotifyTestEnv(spotify),
    DISCORD_WEBHOOK_URL: discord.webhookUrl,
    POLL_MIN_INTERVAL_SECONDS: '1',
    POLL_MAX_INTERVAL_SECONDS: '1',
    POLL_IDLE_SECONDS: '1',
    POLL_LEASE_SECONDS: '8',
    ARCHIVE_OBJECT_AGE_SECONDS: '1',
    LOG_LEVEL: 'info',
  }
})
afterAll(async () => {
  await Promise.all([spotify.stop(), discord.stop(), s3.close(), admin.close()])
  await stream.release()
})

let listener = -1
beforeEach(async () => {
  listener++
  user = await addUser(postgres, spotify, listener)
})

/** Starts a service that dies at a checkpoint; starts it again and resolves with the new process. */
async function diesAt(name: string, point: Checkpoint, provoke: () => unknown) {
  const mark = join(mkdtempSync(join(tmpdir(), 'songswap-crash-')), 'mark')
  const crashing = { ...env, CRASH_AT: point, CRASH_MARK: mark }
  const preload = [new URL('../support/preload-crash.ts', import.meta.url)]
  const first = await spawnService(name, crashing, preload)
  await provoke()
  await first.ended
  expect(existsSync(mark)).toBe(true)
  return spawnService(name, crashing, preload)
}

const givePlays = (n: number) => {
  for (let i = 0; i < n; i++) spotify.givePlay(listener)
}

/** Polls until the listener's plays are in the topic. */
async function publishPlays(n: number): Promise<void> {
  givePlays(n)
  const poller = await spawnService('poller', env)
  await until(async () => (await pagesOfUser()).some((p) => p.items.length === n), 'the page is published')
  await poller.end('SIGTERM')
}

const pagesOfUser = async () => (await readPublishedPages(stream)).filter((p) => p.user === String(user))

async function caughtUp(group: string, topic: string): Promise<boolean> {
  const { partitions } = await admin.readGroupLag(group, [topic])
  return partitions.every((p) => p.lag === 0)
}

const storedMatches = async () =>
  playFaults(await readPublishedPages(stream), await readStoredPlays(postgres))

/** Waits until the loader has caught up, and checks that all pages are stored exactly once. */
async function everythingIsStored(): Promise<void> {
  const { groups, recentlyPlayed } = stream.topology
  await until(() => caughtUp(groups.loaderHistory, recentlyPlayed.name), 'the loader has caught up', 60_000)
  expect(await storedMatches()).toEqual([])
}

describe('a process killed', () => {
  test('between publish and state update (poller.published) publishes the page again, and its plays count once', async () => {
    const poller = await diesAt('poller', 'poller.published', () => givePlays(3))
    await until(async () => (await pagesOfUser()).length >= 2, 'the page is published again')
    await poller.end('SIGTERM')
    const loader = await spawnService('loader', env)
    await everythingIsStored()
    await loader.end('SIGTERM')
  }, 120_000)

  test('between token refresh and storing (poller.refreshed) goes on with the old token while Spotify honours it', async () => {
    const poller = await diesAt('poller', 'poller.refreshed', () => givePlays(2))
    await until(async () => (await pagesOfUser()).length > 0, 'the page is published', 90_000)
    await poller.end('SIGTERM')
    const { rows } = await postgres.query('select status from users where id = $1', [user])
    expect(rows).toEqual([{ status: 'active' }])
  }, 150_000)

  test('between put and commit (archiver.put) archives every record once', async () => {
    await publishPlays(4)
    const archiver = await diesAt('archiver', 'archiver.put', () => undefined)
    const { groups, recentlyPlayed } = stream.topology
    await until(() => caughtUp(groups.archiver, recentlyPlayed.name), 'the archiver has caught up', 60_000)
    await archiver.end('SIGTERM')
    const archive = { s3, prefix: stream.env.S3_PREFIX ?? '' }
    expect(await archiveFaults(stream, archive, recentlyPlayed.name)).toEqual([])
  }, 120_000)

  test('between database commit and publishing wanted metadata (loader.stored) still asks for every artist', async () => {
    await publishPlays(5)
    const loader = await diesAt('loader', 'loader.stored', () => undefined)
    await everythingIsStored()
    await until(everyArtistIsWanted, 'every artist is asked for')
    await loader.end('SIGTERM')
  }, 120_000)

  test('between publishing wanted metadata and saying so (loader.wanted) asks again rather than never', async () => {
    await publishPlays(6)
    const loader = await diesAt('loader', 'loader.wanted', () => undefined)
    await everythingIsStored()
    await until(everyArtistIsWanted, 'every artist is asked for')
    await loader.end('SIGTERM')
  }, 120_000)

  test('between effect and offset commit (consumer.settled) repeats the batch without a trace', async () => {
    await publishPlays(7)
    const loader = await diesAt('loader', 'consumer.settled', () => undefined)
    await everythingIsStored()
    await loader.end('SIGTERM')
  }, 120_000)

  test("between Discord's 200 and commit (alerter.posted) loses no alert", async () => {
    const { kafka } = await stream.openKafka()
    await kafka.publishBytes(stream.topology.recentlyPlayed.name, [
      { key: String(user), value: Buffer.from('x') },
    ])
    const loader = await spawnService('loader', env)
    const { groups, deadLetters, events } = stream.topology
    await until(async () => (await stream.readTopic(deadLetters.name)).length > 0, 'there is a dead letter')
    await loader.end('SIGTERM')
    const alerter = await diesAt('alerter', 'alerter.posted', () => undefined)
    await until(() => caughtUp(groups.alerter, deadLetters.name), 'the dead letters are settled', 60_000)
    await until(() => caughtUp(groups.alerter, events.name), 'the events are settled', 60_000)
    const texts = discord.messages.map((m) => JSON.stringify(m))
    expect(texts.filter((t) => t.includes('Dead letter: not')).length).toBeGreaterThanOrEqual(1)
    await alerter.end('SIGTERM')
  }, 150_000)
})

async function everyArtistIsWanted(): Promise<boolean> {
  const wanted = new Set(
    (await stream.readTopic(stream.topology.metadataWanted.name)).map((r) => String(r.key)),
  )
  const { rows } = await postgres.query<{ id: string; metadata_status: string | null }>(
    'select id, metadata_status from artists',
  )
  return rows.length > 0 && rows.every((r) => r.metadata_status !== null && wanted.has(`artist:${r.id}`))
}
