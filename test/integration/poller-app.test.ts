import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { metrics } from '../../lib/metrics.ts'
import type { PollerBench } from '../support/poller.ts'
import { openPollerBench } from '../support/poller.ts'
import { until } from '../support/until.ts'

let bench: PollerBench

beforeAll(async () => {
  bench = await openPollerBench()
})
afterAll(() => bench.release())
beforeEach(() => bench.reset())

const answered = (what: string) => bench.sim.stats().answers[what] ?? 0
const told = async () => (await bench.events()).map((e) => `${e.type} ${e.subject} ${e.state}`)
const statuses = async () => {
  const { rows } = await bench.postgres.query<{ status: string }>('select distinct status from users')
  return rows.map((row) => row.status)
}
const openIncidents = async () =>
  (await bench.postgres.query<{ type: string }>('select type from incidents order by type')).rows.map(
    (r) => r.type,
  )
/** Lets the pauses of this test's client id end. */
const endPauses = () => bench.postgres.query('update api_pauses set paused_until = now()')
const allPolled = (ids: readonly number[]) => Promise.all(ids.map((id) => bench.polled(id)))
const apiRequests = () =>
  Object.entries(bench.sim.stats().answers).reduce(
    (sum, [name, count]) => sum + (name.startsWith('recently-played') ? count : 0),
    0,
  )

describe('the app as a whole', () => {
  test('whose owner lost Premium pauses, parks nobody, and goes on when it is renewed', async () => {
    const ids = await bench.addUsers(4)
    bench.sim.setFaults({ forbidden_premium: 1 })
    await bench.start()
    await until(async () => (await openIncidents()).includes('spotify_premium_lapsed'), 'the lapse is told')
    expect(await statuses()).toEqual(['active'])
    const asked = apiRequests()
    expect(asked).toBeLessThanOrEqual(4)
    await endPauses()
    await until(() => apiRequests() > asked, 'it is tried again')
    // After a pause one user is asked for, not all of them.
    expect(apiRequests()).toBe(asked + 1)
    bench.sim.clearFaults()
    await until(async () => {
      await endPauses()
      return (await Promise.all(ids.map(bench.state))).every((s) => s.last_ok_at)
    }, 'all are polled')
    await until(async () => (await openIncidents()).length === 0, 'the end is told')
    expect(await told()).toEqual(['spotify_premium_lapsed app raised', 'spotify_premium_lapsed app resolved'])
  })

  test('whose quota is spent asks for nothing until Spotify said, not even after a restart', async () => {
    const ids = await bench.addUsers(3)
    bench.sim.scriptFault({ fault: 'quota_exceeded', endpoint: 'recently-played' })
    const first = await bench.start({ POLL_CONCURRENCY: '1' })
    await until(async () => (await openIncidents()).includes('spotify_paused'), 'the pause is told')
    await first.stop()
    const asked = apiRequests()
    const { health } = await bench.start()
    for (const round of ['first', 'second']) {
      metrics.usersDue.set(-1)
      const due = async () => (await metrics.usersDue.get()).values[0]?.value
      await until(async () => (await due()) === ids.length, `the ${round} look at users who are due`)
    }
    expect(apiRequests()).toBe(asked)
    expect(health.report()).toMatchObject({ alive: true, ready: true })
    expect(await statuses()).toEqual(['active'])
    await endPauses()
    await allPolled(ids)
    await until(async () => (await openIncidents()).length === 0, 'the end is told')
    expect(await told()).toEqual(['spotify_paused app raised', 'spotify_paused app resolved'])
  })

  test('with wrong credentials tells so, parks nobody, and does not knock on and on', async () => {
    await bench.reset({ client: { id: 'the-app', secret: 'right', redirectUris: [] } })
    const ids = await bench.addUsers(4)
    const wrong = { SPOTIFY_CLIENT_ID: 'the-app', SPOTIFY_CLIENT_SECRET: 'wrong' }
    const first = await bench.start(wrong)
    await until(async () => (await openIncidents()).includes('spotify_credentials'), 'the refusal is told')
    await until(
      async () => (await Promise.all(ids.map(bench.state))).every((s) => s.lease_id === null),
      'calm',
    )
    expect(answered('token 400')).toBeLessThanOrEqual(4)
    expect(await statuses()).toEqual(['active'])
    await first.stop()
    await bench.start({ ...wrong, SPOTIFY_CLIENT_SECRET: 'right' })
    await endPauses()
    await allPolled(ids)
    await until(async () => (await openIncidents()).length === 0, 'the end is told')
  })

  test('spends no request more than its budget, and says that it is spent', async () => {
    const ids = await bench.addUsers(3)
    await Promise.all([1, 2].map(() => bench.start({ SPOTIFY_DAILY_REQUESTS: '10' })))
    await allPolled(ids)
    await until(async () => (await openIncidents()).includes('budget_short'), 'the short budget is told')
    // Stretched to last for the day: 4 requests are left for the others' turns.
    expect(apiRequests() + answered('token 200')).toBe(6)
    await until(async () => {
      await bench.postgres.query('update poll_state set next_poll_at = now()')
      return (await openIncidents()).includes('spotify_paused')
    }, 'the spent budget is told')
    expect(apiRequests() + answered('token 200')).toBe(10)
  })
})

describe('an outage', () => {
  test('of the feed for most users parks nobody, pauses, and is told once, until it works again', async () => {
    const ids = await bench.addUsers(6)
    await bench.start()
    await allPolled(ids)
    bench.sim.setFaults({ gateway_timeout: 1 })
    await until(async () => (await openIncidents()).includes('spotify_outage'), 'the outage is told')
    const asked = apiRequests()
    await endPauses()
    await until(() => apiRequests() > asked, 'it is tried again')
    bench.sim.clearFaults()
    await until(async () => {
      await endPauses()
      return (await openIncidents()).length === 0
    }, 'the end is told')
    expect(await statuses()).toEqual(['active'])
    expect(await told()).toEqual(['spotify_outage app raised', 'spotify_outage app resolved'])
    const before = await Promise.all(ids.map(bench.state))
    await until(
      async () =>
        (await Promise.all(ids.map(bench.state))).every(
          (s, i) => Number(s.last_ok_at) > Number(before[i]?.last_ok_at) && s.failures === 0,
        ),
      'all are polled again',
    )
  })

  test('that calls the tokens of nearly all users dead leaves nobody parked, and ends by itself', async () => {
    const ids = await bench.addUsers(6)
    bench.sim.setFaults({ false_invalid_grant: 1 })
    await bench.start()
    await until(async () => {
      await endPauses()
      return (await openIncidents()).includes('spotify_outage')
    }, 'the outage is told')
    await until(async () => (await statuses()).join() === 'active', 'nobody is parked')
    bench.sim.clearFaults()
    await until(async () => {
      await endPauses()
      return (await Promise.all(ids.map(bench.state))).every((s) => s.last_ok_at)
    }, 'all are polled')
    await until(async () => (await openIncidents()).length === 0, 'the end is told')
    expect(await statuses()).toEqual(['active'])
    expect(await told()).toContain('spotify_outage accounts resolved')
  })
})
