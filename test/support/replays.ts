import { expect } from 'vitest'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import type { RerunReport } from '../../operations/rerun/run.ts'
import type { Stream } from './kafka.ts'
import { createStream } from './kafka.ts'
import type { Json } from './pages.ts'
import { item, pageBody } from './pages.ts'
import { runSongswap } from './songswap.ts'

/** A topic with pages of some users, for replays. */
export interface Replays {
  stream: Stream
  postgres: Postgres
  kafka: Kafka
  publish(user: number, body: Buffer, of?: { ageMs?: number; partition?: number }): Promise<void>
  /** Runs `songswap replay … --execute`. */
  replay(...args: string[]): Promise<RerunReport>
  /** Counts the rows of a table, or of `table where …`. */
  count(sql: string): Promise<number>
  /** Rows of plays and catalogue, without `ingested_at`. */
  contents(): Promise<unknown>
  /** Deletes the loader's rows, except artists. */
  empty(): Promise<void>
  release(): Promise<void>
}

export const minute = 60_000
export const dayMs = 86_400_000
/** Time of the first play of every user. */
export const start = Date.now() - 3 * 60 * minute
export const users = [7, 8, 9]

/**
 * Publishes pages of three users. Each page shows a new play and the one before it; the first page of each user is
 * two days old.
 */
export async function createReplays(
  pagesOfUser: number,
  more: (page: number) => Json = () => ({}),
): Promise<Replays> {
  const stream = await createStream()
  const url = new Secret(stream.env.DATABASE_URL ?? '')
  const postgres = openPostgres({ url, connections: 2, name: 'test', log: stream.log })
  const { kafka } = await stream.openKafka()
  const replays: Replays = {
    ...{ stream, postgres, kafka },
    async publish(user, body, { ageMs = 0, ...place } = {}) {
      const page = { endpoint: 'recently-played', subject: String(user), source: 'poll', status: 200 }
      const value = { ...page, fetchedAt: Date.now(), body }
      const record = { key: String(user), value, timestamp: Date.now() - ageMs, ...place }
      await kafka.publish(stream.topology.recentlyPlayed, [record])
    },
    async replay(...args) {
      const ended = await runSongswap(['replay', ...args, '--execute', '--json'], stream.env)
      expect(ended.code, ended.stderr).toBe(0)
      return JSON.parse(ended.stdout)
    },
    async count(sql) {
      const { rows } = await postgres.query<{ n: number }>(`select count(*)::int as n from ${sql}`)
      return rows[0]?.n ?? -1
    },
    async contents() {
      const tables = ['plays', 'tracks', 'track_artists', 'albums', 'artists']
      const all = tables.map((t) =>
        postgres.query(`select (to_jsonb(t) - 'ingested_at')::text as row from ${t} t order by 1`),
      )
      return (await Promise.all(all)).map((r) => r.rows)
    },
    async empty() {
      const tables = ['plays', 'tracks', 'track_artists', 'albums', 'rejected_items', 'shown_windows', 'gaps']
      await postgres.query(tables.map((table) => `delete from ${table}`).join('; '))
    },
    async release() {
      await postgres.close()
      await stream.release()
    },
  }
  for (let i = 0; i < pagesOfUser; i++) {
    for (const user of users) {
      const plays = [item(start + i * minute, `T${i % 9}`, more(i))]
      if (i > 0) plays.push(item(start + (i - 1) * minute, `T${(i - 1) % 9}`))
      await replays.publish(user, pageBody(plays), { ageMs: i === 0 ? 2 * dayMs : 0 })
    }
  }
  return replays
}
