import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PollerBench } from '../support/poller.ts'
import { openPollerBench } from '../support/poller.ts'
import { runSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

let bench: PollerBench
beforeAll(async () => {
  bench = await openPollerBench()
})
afterAll(() => bench?.release())

/** Published events about consents, in order: user, state, day of the end. */
async function told(): Promise<[string, string, string | undefined][]> {
  const events = (await bench.events()).filter((e) => e.type === 'consent_ending')
  return events.map((e) => [e.subject, e.state, e.details.endsAt?.slice(0, 10)])
}

const dayMs = 86_400_000
/** Moves a user's consent so that it ends in `days` days; returns the day. */
async function endIn(userId: number, days: number): Promise<string> {
  const endsAt = new Date(Date.now() + days * dayMs)
  await bench.postgres.query('update users set authorized_at = $2 where id = $1', [
    userId,
    new Date(endsAt.getTime() - 180 * dayMs),
  ])
  return endsAt.toISOString().slice(0, 10)
}

/** A poller checks consents at its start, so one that has polled has checked them. */
async function startAndStop(...users: number[]): Promise<void> {
  await bench.start()
  for (const user of users) await bench.polled(user)
  await bench.stopPollers()
}

test('each warning is told once, over restarts and by several pollers, and a new consent ends it', async () => {
  await bench.reset()
  const [soon = 0, later = 0, fresh = 0] = await bench.addUsers(3)
  const day25 = await endIn(soon, 25)
  await endIn(later, 40)
  await bench.start()
  await bench.start()
  await until(async () => (await told()).length > 0, 'the first warning is told')
  await bench.stopPollers()
  await startAndStop(soon, later, fresh)
  expect(await told()).toEqual([[`user:${soon}`, 'raised', day25]])

  // Nineteen days later the same consent is nearer to its end.
  const day6 = await endIn(soon, 6)
  await bench.postgres.query(
    `update consent_warnings w set authorized_at = u.authorized_at from users u where u.id = w.user_id`,
  )
  await bench.start()
  await until(async () => (await told()).length > 1, 'the second warning is told')
  await bench.stopPollers()
  expect((await told()).slice(1)).toEqual([[`user:${soon}`, 'raised', day6]])

  const status = await runSongswap(['status', '--json'], bench.env)
  expect(JSON.parse(status.stdout).users.consentsEnding).toMatchObject([{ id: soon, daysLeft: 5 }])

  await bench.postgres.query('update users set authorized_at = now() where id = $1', [soon])
  await bench.start()
  await until(async () => (await told()).length > 2, 'the end is told')
  await bench.stopPollers()
  await startAndStop(soon)
  expect((await told()).slice(2)).toEqual([[`user:${soon}`, 'resolved', undefined]])
})

test('a consent of unknown age is warned of once, as an old one, until a new one is given', async () => {
  await bench.reset()
  const before = (await told()).length
  const [userId = 0] = await bench.addUsers(1)
  await bench.postgres.query('update users set authorized_at = null where id = $1', [userId])
  await bench.start()
  await until(async () => (await told()).length > before, 'the warning is published')
  await bench.stopPollers()
  await startAndStop(userId)
  expect((await told()).slice(before)).toEqual([[`user:${userId}`, 'raised', undefined]])
  const list = await runSongswap(['users', 'list', '--json'], bench.env)
  expect(JSON.parse(list.stdout)).toMatchObject([{ id: userId, authorizedAt: null, consentDaysLeft: null }])

  await bench.postgres.query('update users set authorized_at = now() where id = $1', [userId])
  await bench.start()
  await until(async () => (await told()).length > before + 1, 'the end is published')
  await bench.stopPollers()
  expect((await told()).at(-1)).toEqual([`user:${userId}`, 'resolved', undefined])
})

test('a warning that cannot be published repeats none of those before it', async () => {
  await bench.reset()
  const before = (await told()).length
  const users = await bench.addUsers(3)
  for (const userId of users) await endIn(userId, 20)
  // Another poller holds the second user: only their warning waits.
  const holding = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  const holder = bench.postgres.transaction(async (sql) => {
    await sql.query(`select pg_advisory_xact_lock(hashtextextended('consent', $1))`, [users[1]])
    held.resolve()
    await holding.promise
  })
  await held.promise
  await bench.start()
  await until(async () => (await told()).length >= before + 2, 'two warnings are published')
  await bench.stopPollers()
  holding.resolve()
  await holder
  const noted = await bench.postgres.query<{ id: number }>(
    'select user_id as id from consent_warnings order by 1',
  )
  expect(noted.rows.map(({ id }) => id)).toEqual([users[0], users[2]])
  await bench.start()
  await until(async () => (await told()).length >= before + 3, 'the third is published')
  await bench.stopPollers()
  expect(
    (await told())
      .slice(before)
      .map(([subject]) => subject)
      .sort(),
  ).toEqual(users.map((id) => `user:${id}`).sort())
})
