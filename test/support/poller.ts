import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import type { OperationalEvent, SpotifyResponse } from '../../lib/topology.ts'
import type { SpotifySimulatorOptions } from '../../simulators/spotify/options.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import type { Stream } from './kafka.ts'
import { createStream } from './kafka.ts'
import type { InProcessService } from './service.ts'
import { startService, stopServices } from './service.ts'
import { addUser, spotifyTestEnv } from './spotify.ts'
import { until } from './until.ts'

/** Short intervals, so that a test sees several polls. */
const quickEnv = {
  POLL_MIN_INTERVAL_SECONDS: '1',
  POLL_MAX_INTERVAL_SECONDS: '2',
  POLL_LEASE_SECONDS: '8',
  POLL_IDLE_SECONDS: '1',
}

export interface UserState {
  status: string
  status_reason: string | null
  last_ok_at: Date | null
  newest_played_at: Date | null
  page_digest: string | null
  failures: number
  last_error: string | null
  lease_id: string | null
  next_poll_at: Date
}

/** Pollers in this process, with a stream and a simulated Spotify of their own. */
export interface PollerBench {
  readonly stream: Stream
  readonly postgres: Postgres
  readonly sim: SpotifySimulator
  /** The environment of every poller started until the next {@link PollerBench.reset}. */
  readonly env: Record<string, string>
  /** Stops the pollers, deletes users and pauses, leaves out earlier events and pages, and renews the simulator. */
  reset(options?: Partial<SpotifySimulatorOptions>): Promise<void>
  /** Adds users for the first `count` listeners; returns their ids. */
  addUsers(count: number): Promise<number[]>
  start(more?: Record<string, string>): Promise<InProcessService>
  /** Stops all pollers, as SIGTERM does. */
  stopPollers(): Promise<void>
  state(userId: number): Promise<UserState>
  pages(userId?: number): Promise<SpotifyResponse[]>
  events(): Promise<OperationalEvent[]>
  /** Waits for the first successful poll of a user. */
  polled(userId: number): Promise<UserState>
  release(): Promise<void>
}

export async function openPollerBench(): Promise<PollerBench> {
  const stream = await createStream()
  const url = new Secret(stream.env.DATABASE_URL ?? '')
  const postgres = openPostgres({ url, connections: 3, name: 'test', log: stream.log })
  let sim = await startSpotifySimulator(quietSpotify)
  let env = { ...stream.env, ...spotifyTestEnv(sim), ...quickEnv }
  let since = Date.now()

  async function read<V>(topic: { name: string }): Promise<V[]> {
    const records = (await stream.readTopic(topic.name)).filter((record) => record.timestamp >= since)
    const sorted = records.toSorted((a, b) => a.timestamp - b.timestamp || a.offset - b.offset)
    const decoded = await Promise.all(sorted.map((record) => stream.codec.decode<V>(record.bytes)))
    return decoded.flatMap((d) => (d.type === 'value' ? [d.value] : []))
  }

  async function state(userId: number): Promise<UserState> {
    const { rows } = await postgres.query<UserState>(
      'select * from users join poll_state on id = user_id where id = $1',
      [userId],
    )
    if (!rows[0]) throw new Error(`no user ${userId}`)
    return rows[0]
  }

  return {
    stream,
    ...{ postgres, state, stopPollers: stopServices },
    get sim() {
      return sim
    },
    get env() {
      return env
    },
    async reset(options = {}) {
      await stopServices()
      await sim.stop()
      await postgres.query(
        'truncate users, spotify_tokens, poll_state, consent_warnings, incidents, api_pauses, poller_upkeep',
      )
      sim = await startSpotifySimulator({ ...quietSpotify, ...options })
      env = { ...stream.env, ...spotifyTestEnv(sim), ...quickEnv }
      since = Date.now()
    },
    async addUsers(count) {
      const ids: number[] = []
      for (let listener = 0; listener < count; listener++) ids.push(await addUser(postgres, sim, listener))
      return ids
    },
    start: (more = {}) => startService('poller', { ...env, ...more }),
    pages: async (userId) =>
      (await read<SpotifyResponse>(stream.topology.recentlyPlayed)).filter(
        (page) => userId === undefined || page.subject === String(userId),
      ),
    events: () => read<OperationalEvent>(stream.topology.events),
    polled: (userId) =>
      until(async () => {
        const now = await state(userId)
        return now.last_ok_at && now.lease_id === null ? now : null
      }, `user ${userId} is polled`),
    async release() {
      await stopServices()
      await sim.stop()
      await postgres.close()
      await stream.release()
    },
  }
}

/** Listeners have only the plays that tests give. */
const quietSpotify: Partial<SpotifySimulatorOptions> = {
  plays: 'none',
  listeners: 100,
  hangMs: 6_000,
  keepPages: 100,
}
