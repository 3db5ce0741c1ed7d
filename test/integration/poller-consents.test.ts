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

/** What was told of consents, in order: user, state, day of the end. */
async function told(): Promise<[string, string, string | undefined][]> {
  const events = (await bench.events()).filter((e) => e.type === 'consent_ending')
  return events.map((e) => [e.subject, e.state, e.details.endsAt?.slice(0, 10)])
}

const dayMs = 86_400_000
/** Moves a user's consent so that it ends in so many days; gives the day. */
async function endIn(userId: number, days: number): Promise<string> {
  const endsAt = new Date(Date.now() + days * dayMs)
  await bench.postgres.query('update users set authorized_at = $2 where id = $1', [
    userId,
    new Date(endsAt.getTime() - 180 * dayMs),
  ])
  return endsAt.toISOString().slice(0, 10)
}

/** A poller looks at its start: one that has polled has looked. */
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

  // Nineteen days later: the same consent, nearer to its end.
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
