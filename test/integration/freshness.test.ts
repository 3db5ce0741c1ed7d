import { afterAll, beforeAll, expect, test } from 'vitest'
import { metrics } from '../../lib/metrics.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { showFreshness } from '../../services/poller/freshness.ts'
import type { TestDatabase } from '../support/database.ts'
import { createDatabase } from '../support/database.ts'

let database: TestDatabase
let postgres: Postgres

beforeAll(async () => {
  database = await createDatabase()
  postgres = database.openPostgres(2)
})
afterAll(async () => {
  await database.release()
})

async function addUser(spotifyId: string, status: string, lastOkSecondsAgo: number | null): Promise<void> {
  const { rows } = await postgres.query<{ id: number }>(
    `insert into users (spotify_id, status, authorized_at) values ($1, $2, now() - interval '10 minutes') returning id`,
    [spotifyId, status],
  )
  await postgres.query(
    'insert into poll_state (user_id, last_ok_at) values ($1, now() - make_interval(secs => $2::float8))',
    [rows[0]?.id, lastOkSecondsAgo],
  )
}

const unpolled = async () => {
  const { values } = await metrics.usersUnpolled.get()
  return Object.fromEntries(values.map((v) => [v.labels.for_seconds, v.value]))
}
const oldest = async () => (await metrics.oldestPollSeconds.get()).values[0]?.value ?? 0

test('without users nobody waits', async () => {
  await showFreshness(postgres)
  expect(await unpolled()).toEqual({ 300: 0, 1200: 0, 7200: 0 })
  expect(await oldest()).toBe(0)
})

test('counts active users by how long they have gone without a successful poll', async () => {
  await addUser('fresh', 'active', 5)
  await addUser('late', 'active', 2_000)
  await addUser('lost', 'active', 8_000)
  await addUser('never', 'active', null)
  await addUser('parked', 'needs_reauth', 100_000)
  await showFreshness(postgres)
  expect(await unpolled()).toEqual({ 300: 3, 1200: 2, 7200: 1 })
  expect(await oldest()).toBeGreaterThanOrEqual(8_000)
  expect(await oldest()).toBeLessThan(8_100)
  const { values } = await metrics.users.get()
  expect(Object.fromEntries(values.map((v) => [v.labels.status, v.value]))).toEqual({
    active: 4,
    needs_reauth: 1,
  })
})
