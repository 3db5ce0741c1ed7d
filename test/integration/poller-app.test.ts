import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Health } from '../../lib/health.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { createClient } from '../../lib/kafka/client.ts'
import { metrics } from '../../lib/metrics.ts'
import { Scope } from '../../lib/scope.ts'
import { openIncidents } from '../../lib/spotify/incidents.ts'
import { believeAfterMs } from '../../services/poller/blame.ts'
import { readConfig } from '../../services/poller/config.ts'
import { unparkRecent } from '../../services/poller/evidence.ts'
import { startPoller } from '../../services/poller/poller.ts'
import type { PollerBench } from '../support/poller.ts'
import { openPollerBench } from '../support/poller.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'
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
const raisedNow = async () =>
  (await bench.postgres.query<{ type: string }>('select type from incidents order by type')).rows.map(
    (r) => r.type,
  )
/** Ends all pauses. */
const endPauses = () => bench.postgres.query('update api_pauses set paused_until = now()')
const allPolled = (ids: readonly number[]) => Promise.all(ids.map((id) => bench.polled(id)))
const apiRequests = () =>
  Object.entries(bench.sim.stats().answers).reduce(
    (sum, [name, count]) => sum + (name.startsWith('recently-played') ? count : 0),
    0,
  )

test('a stop ends the poll loop first: nobody is claimed while the rest is closed', async () => {
  const opened: string[] = []
  class Recorded extends Scope {
    override defer(name: string, release: () => Promise<void> | void): void {
      opened.push(name)
      super.defer(name, release)
    }
  }
  const scope = new Recorded(bench.stream.log)
  const config = readConfig(bench.env)
  const fail = (error: unknown) => expect.unreachable(String(error))
  const { signal } = new AbortController()
  await startPoller({
    name: 'poller',
    config,
    scope,
    health: new Health(),
    log: bench.stream.log,
    signal,
    fail,
  })
  await scope.close()
  expect(opened.at(-1)).toBe('polls')
})

describe('the app as a whole', () => {
  test('whose owner lost Premium pauses, parks nobody, and goes on when it is renewed', async () => {
    const ids = await bench.addUsers(4)
    bench.sim.setFaults({ forbidden_premium: 1 })
    await bench.start()
    await until(async () => (await raisedNow()).includes('spotify_premium_lapsed'), 'the lapse is told')
    expect(await statuses()).toEqual(['active'])
    const asked = apiRequests()
    expect(asked).toBeLessThanOrEqual(4)
    await endPauses()
    await until(() => apiRequests() > asked, 'it is tried again')
    // After a pause the poller tries one user, not all of them.
    expect(apiRequests()).toBe(asked + 1)
    bench.sim.clearFaults()
    await until(async () => {
      await endPauses()
      return (await Promise.all(ids.map(bench.state))).every((s) => s.last_ok_at)
    }, 'all are polled')
    await until(async () => (await raisedNow()).length === 0, 'the end is told')
    expect(await told()).toEqual(['spotify_premium_lapsed app raised', 'spotify_premium_lapsed app resolved'])
  })

  test('whose quota is spent asks for nothing until Spotify said, not even after a restart', async () => {
    const ids = await bench.addUsers(3)
    bench.sim.scriptFault({ fault: 'quota_exceeded', endpoint: 'recently-played' })
    const first = await bench.start({ POLL_CONCURRENCY: '1' })
    await until(async () => (await raisedNow()).includes('spotify_paused'), 'the pause is told')
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
    await until(async () => (await raisedNow()).length === 0, 'the end is told')
    expect(await told()).toEqual(['spotify_paused app raised', 'spotify_paused app resolved'])
  })

  test('with wrong credentials tells so, parks nobody, and does not knock on and on', async () => {
    await bench.reset({ client: { id: 'the-app', secret: 'right', redirectUris: [] } })
    const ids = await bench.addUsers(4)
    const wrong = { SPOTIFY_CLIENT_ID: 'the-app', SPOTIFY_CLIENT_SECRET: 'wrong' }
    const first = await bench.start(wrong)
    await until(async () => (await raisedNow()).includes('spotify_credentials'), 'the refusal is told')
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
    await until(async () => (await raisedNow()).length === 0, 'the end is told')
  })

  test('keeps its requests while tokens cannot be renewed: what was reserved for pages goes back', async () => {
    const ids = await bench.addUsers(5)
    const { SPOTIFY_CLIENT_ID = '' } = bench.env
    await bench.postgres.query(
      `insert into api_pauses (client_id, lane, paused_until, reason, window_started_at)
       select $1, lane, case lane when 'accounts' then now() + interval '1 h' end, 'outage', now()
       from unnest(array['polling', 'enrichment', 'accounts']) lane`,
      [SPOTIFY_CLIENT_ID],
    )
    const { stop } = await bench.start()
    const deferred = async () => {
      const states = await Promise.all(ids.map(bench.state))
      return states.every((s) => s.lease_id === null && Number(s.next_poll_at) > Date.now())
    }
    for (let round = 0; round < 3; round++) {
      await bench.postgres.query('update poll_state set next_poll_at = now()')
      await until(deferred, 'everybody waits for a token')
    }
    await stop()
    const { rows } = await bench.postgres.query<{ used: number }>(
      'select sum(used)::int as used from api_pauses where client_id = $1',
      [SPOTIFY_CLIENT_ID],
    )
    expect(rows).toEqual([{ used: 0 }])
    expect(apiRequests() + answered('token 200')).toBe(0)
  })

  test('says that the accounts service pauses for long: nobody is polled then, though polling is not paused', async () => {
    const { SPOTIFY_CLIENT_ID = '' } = bench.env
    await bench.addUsers(1)
    await bench.postgres.query(
      `insert into api_pauses (client_id, lane, paused_until, reason, strikes, window_started_at)
       values ($1, 'accounts', now() + interval '20 h', 'rate_limited', 1, '-infinity')`,
      [SPOTIFY_CLIENT_ID],
    )
    await bench.start()
    await until(async () => (await raisedNow()).includes('spotify_paused'), 'the pause is told')
    await bench.postgres.query('update api_pauses set paused_until = now(), strikes = 0')
    await until(async () => (await raisedNow()).length === 0, 'the end is told')
    expect(await told()).toEqual(['spotify_paused accounts raised', 'spotify_paused accounts resolved'])
  })

  test('spends no request more than its budget, and says that it is spent', async () => {
    const ids = await bench.addUsers(3)
    await Promise.all([1, 2].map(() => bench.start({ SPOTIFY_DAILY_REQUESTS: '10' })))
    await allPolled(ids)
    await until(async () => (await raisedNow()).includes('budget_short'), 'the short budget is told')
    // Polls are spread over the day: 4 requests are left for later polls.
    expect(apiRequests() + answered('token 200')).toBe(6)
    await until(async () => {
      await bench.postgres.query('update poll_state set next_poll_at = now()')
      return (await raisedNow()).includes('spotify_paused')
    }, 'the spent budget is told')
    expect(apiRequests() + answered('token 200')).toBe(10)
  })
})

test('a budget that is raised is used at once, not when the plan of the small one ends', async () => {
  const ids = await bench.addUsers(3)
  const small = await bench.start({ SPOTIFY_DAILY_REQUESTS: '8' })
  await allPolled(ids)
  const planned = await Promise.all(ids.map(bench.state))
  expect(Math.min(...planned.map((s) => Number(s.next_poll_at))) - Date.now()).toBeGreaterThan(3_600_000)
  await small.stop()
  await bench.start()
  await until(async () => {
    const now = await Promise.all(ids.map(bench.state))
    return now.every((s, i) => Number(s.last_ok_at) > Number(planned[i]?.last_ok_at))
  }, 'all are polled again')
})

test('an event that many polls find at once is told once', async () => {
  const published: string[] = []
  const incidents = openIncidents(bench.postgres, async (notice) => void published.push(notice.state ?? ''))
  const notice = { type: 'spotify_outage', subject: 'app', severity: 'critical', message: '' } as const
  await Promise.all(Array.from({ length: 9 }, () => incidents.raise(notice)))
  await Promise.all(Array.from({ length: 9 }, () => incidents.resolve(notice)))
  await incidents.raise(notice)
  expect(published).toEqual(['raised', 'resolved', 'raised'])
})

test('an event that could not be published is told again, and does not block the next', async () => {
  let isAway = true
  const incidents = openIncidents(bench.postgres, async () => {
    if (isAway) throw new Error('Kafka is away')
  })
  const notice = { type: 'spotify_outage', subject: 'app', severity: 'critical', message: '' } as const
  await expect(incidents.raise(notice)).rejects.toThrow('Kafka is away')
  isAway = false
  expect(await incidents.raise(notice)).toBe(true)
  expect(await incidents.raise(notice)).toBe(false)
})

test('tokens that were dead for a day are believed: an outage does not take that back', async () => {
  const ids = await bench.addUsers(2)
  await bench.postgres.query(
    `update users set status = 'needs_reauth', status_reason = 'invalid_grant', status_changed_at = now()`,
  )
  await bench.postgres.query(
    `update poll_state set error_since = now() - case user_id when $1 then interval '25 h' else interval '1 h' end`,
    [ids[0]],
  )
  expect(await unparkRecent(bench.postgres, 'invalid_grant', believeAfterMs)).toEqual([ids[1]])
})

describe('an outage', () => {
  test('of the feed for most users parks nobody, pauses, and is told once, until it works again', async () => {
    const ids = await bench.addUsers(6)
    await bench.start()
    await allPolled(ids)
    bench.sim.setFaults({ gateway_timeout: 1 })
    await until(async () => (await raisedNow()).includes('spotify_outage'), 'the outage is told')
    const asked = apiRequests()
    await endPauses()
    await until(() => apiRequests() > asked, 'it is tried again')
    bench.sim.clearFaults()
    await until(async () => {
      await endPauses()
      return (await raisedNow()).length === 0
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
      return (await raisedNow()).includes('spotify_outage')
    }, 'the outage is told')
    await until(async () => (await statuses()).join() === 'active', 'nobody is parked')
    bench.sim.clearFaults()
    await until(async () => {
      await endPauses()
      return (await Promise.all(ids.map(bench.state))).every((s) => s.last_ok_at)
    }, 'all are polled')
    await until(async () => (await raisedNow()).length === 0, 'the end is told')
    expect(await statuses()).toEqual(['active'])
    expect(await told()).toContain('spotify_outage accounts resolved')
  })

  test('of Postgres is waited out: the poller is not ready, stays alive, and goes on', async () => {
    const ids = await bench.addUsers(3)
    const url = new URL(bench.env.DATABASE_URL ?? '')
    const link = await openTcpProxy({ port: Number(url.port) })
    url.port = String(link.port)
    const { health, failures, stop } = await bench.start({ DATABASE_URL: url.href })
    await allPolled(ids)
    link.setMode({ type: 'refuse' })
    link.cut()
    await until(() => !health.report().ready, 'the poller is not ready')
    expect(health.report().alive).toBe(true)
    link.setMode({ type: 'open' })
    const back = new Date()
    await until(
      async () => (await Promise.all(ids.map(bench.state))).every((s) => s.last_ok_at && s.last_ok_at > back),
      'all are polled again',
    )
    await until(() => health.report().ready, 'the poller is ready again')
    expect(failures).toEqual([])
    await stop()
    await link.close()
  })

  test('of Kafka does not eat up the request budget: pages are not fetched again and again in vain', async () => {
    await bench.addUsers(4)
    const topic = bench.stream.topology.recentlyPlayed
    const client = createClient({ config: bench.stream.config, log: bench.stream.log, name: 'test' })
    const kafkaAdmin = client.admin()
    await kafkaAdmin.connect()
    await kafkaAdmin.deleteTopics({ topics: [topic.name] })
    // The broker accepts pages until it knows of the deletion, and an accepted page ends the pauses.
    await until(async () => !(await kafkaAdmin.listTopics()).includes(topic.name), 'the topic is gone')
    await kafkaAdmin.disconnect()
    await bench.start()
    await until(() => apiRequests() >= 6, 'it is tried again')
    // First all four users, then one at a time, with pauses that double.
    const asked = apiRequests()
    const began = Date.now()
    await until(() => apiRequests() > asked, 'it is tried once more')
    expect(Date.now() - began).toBeGreaterThan(500)
    const admin = await openAdmin({ config: bench.stream.config, log: bench.stream.log, name: 'test' })
    await admin.ensureTopics([topic], 1)
    await admin.close()
  })
})
