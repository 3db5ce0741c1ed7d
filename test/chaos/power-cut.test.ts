import { mkdirSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { parseObjectKey } from '../../lib/archive/key.ts'
import { createRandom } from '../../simulators/random.ts'
import { archiveKeys } from '../support/archive.ts'
import { dropTail } from '../support/log-tail.ts'
import { archiveFaults, readStoredPlays, undeliveredFaults } from '../support/verify.ts'
import type { Run } from './run.ts'
import { startRun } from './run.ts'

const seed = Number(process.env.CHAOS_SEED ?? 20261201)
const cuts = 3
const listeners = 12
const logDir = join(tmpdir(), 'songswap-chaos', 'power-cut')

let run: Run | null = null
afterEach(async () => {
  await run?.close()
  run = null
})

/** Removes the tails of the data topics; Postgres and the store keep what they have synced. */
async function cutPower({ cluster, stream }: Run, random: ReturnType<typeof createRandom>): Promise<number> {
  const [broker] = cluster.servers.kafka
  if (!broker) throw new Error('no broker')
  await broker.kill('SIGKILL')
  const logs = join(cluster.dataDir, 'kafka', 'data')
  const { recentlyPlayed, metadata } = stream.topology
  const folders = readdirSync(logs).filter((name) =>
    [recentlyPlayed, metadata].some((topic) => new RegExp(`^${RegExp.escape(topic.name)}-\\d+$`).test(name)),
  )
  const lost = folders.map((name) => dropTail(join(logs, name), 1 + random.int(4)))
  await broker.start()
  return lost.reduce((sum, n) => sum + n, 0)
}

test(
  'a power cut of a one-broker host costs nothing that Spotify still shows, and the archive goes on',
  async () => {
    mkdirSync(logDir, { recursive: true })
    const load = { listeners, playsPerSecond: 4, pollSeconds: [1, 3] } as const
    run = await startRun({ seed, load, logDir, brokers: 1 })
    const random = createRandom(seed, 5)
    for (let i = 0; i < cuts; i++) {
      await delay(6_000)
      let lost = 0
      const { cluster } = run
      const fault = {
        name: 'a power cut',
        holdMs: 0,
        during: [],
        inject: async () => {
          lost = await cutPower(run as Run, random)
          return async () => undefined
        },
      }
      await run.suffer([fault])
      console.log(`[power cut ${seed}] ${lost} batches lost, broker at pid ${cluster.servers.kafka[0]?.pid}`)
      expect(lost).toBeGreaterThan(0)
    }
    // Each listener plays once more, so that a page shows again the plays lost with the tail.
    for (let listener = 0; listener < listeners; listener++) run.spotify.givePlay(listener)
    await run.drain()
    const { stream, s3, archivePrefix: prefix, postgres, spotify, users } = run
    const stored = await readStoredPlays(postgres)
    expect(undeliveredFaults(spotify, users, stored)).toEqual([])
    for (const topic of [stream.topology.recentlyPlayed, stream.topology.metadata])
      expect(await archiveFaults(stream, { s3, prefix }, topic.name)).toEqual([])
    const keys = await archiveKeys(s3, prefix)
    expect(keys.some((key) => parseObjectKey(key)?.incarnation)).toBe(true)
    expect(run.fleet.unexpectedDeaths).toEqual([])
    await run.fleet.stop()
  },
  15 * 60_000,
)
