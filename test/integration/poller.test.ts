import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { createClient } from '../../lib/kafka/client.ts'
import type { Topic } from '../../lib/topology.ts'
import { claimDue } from '../../services/poller/claims.ts'
import type { FaultName } from '../../simulators/spotify/faults.ts'
import type { PollerBench } from '../support/poller.ts'
import { openPollerBench } from '../support/poller.ts'
import { addUser, testCrypto } from '../support/spotify.ts'
import { stepClock } from '../support/step-clock.ts'
import { until } from '../support/until.ts'

let bench: PollerBench

beforeAll(async () => {
  bench = await openPollerBench()
})
afterAll(() => bench.release())
beforeEach(() => bench.reset())

const answered = (what: string) => bench.sim.stats().answers[what] ?? 0
const struck = (fault: string) => bench.sim.stats().faults[fault] ?? 0

async function makeAgain(topic: Topic): Promise<void> {
  const client = { config: bench.stream.config, log: bench.stream.log, name: 'test' }
  const [admin, kafkaAdmin] = [await openAdmin(client), createClient(client).admin()]
  await kafkaAdmin.connect()
  await kafkaAdmin.deleteTopics({ topics: [topic.name] })
  await until(async () => !(await kafkaAdmin.listTopics()).includes(topic.name), 'the topic is gone')
  await admin.ensureTopics([topic], 1)
  await Promise.all([admin.close(), kafkaAdmin.disconnect()])
}

describe('a page', () => {
  test('is in the topic byte for byte as Spotify sent it, under the user’s id', async () => {
    const [userId = 0] = await bench.addUsers(1)
    for (let i = 0; i < 5; i++) bench.sim.givePlay(0, { playedAt: bench.sim.now() - i * 60_000 })
    const before = Date.now()
    await bench.start()
    const state = await bench.polled(userId)
    const [page, ...more] = await bench.pages()
    const [sent] = bench.sim.truth.pages()
    expect(more).toEqual([])
    expect(page).toMatchObject({
      endpoint: 'recently-played',
      subject: String(userId),
      source: 'poll',
      status: 200,
    })
    expect(page?.body.equals(sent?.body ?? Buffer.alloc(0))).toBe(true)
    expect(page?.fetchedAt).toBeGreaterThanOrEqual(before)
    expect(state.newest_played_at?.getTime()).toBe(
      Date.parse(JSON.parse(String(page?.body)).items[0].played_at),
    )
    const [record] = await bench.stream.readTopic(bench.stream.topology.recentlyPlayed.name)
    expect(String(record?.key)).toBe(String(userId))
  })

  test('is published when its plays differ from the last one published, and only then', async () => {
    const [userId = 0] = await bench.addUsers(1)
    bench.sim.givePlay(0)
    await bench.start()
    await until(() => answered('recently-played 200') >= 3, 'three polls')
    expect(await bench.pages()).toHaveLength(1)
    bench.sim.givePlay(0)
    const first = (await bench.state(userId)).page_digest
    await until(async () => (await bench.state(userId)).page_digest !== first, 'the new play is seen')
    expect(await bench.pages()).toHaveLength(2)
  })

  test('with a play that comes hours late is published: nothing asks only for what is newer', async () => {
    const [userId = 0] = await bench.addUsers(1)
    bench.sim.givePlay(0)
    await bench.start()
    const before = await bench.polled(userId)
    bench.sim.givePlay(0, { playedAt: bench.sim.now() - 8 * 3_600_000 })
    await until(
      async () => (await bench.state(userId)).page_digest !== before.page_digest,
      'the late play is seen',
    )
    const pages = await bench.pages()
    expect(JSON.parse(String(pages.at(-1)?.body)).items).toHaveLength(2)
    expect((await bench.state(userId)).newest_played_at).toEqual(before.newest_played_at)
  })

  test('that was published to a topic that is gone is published again when the topic is made again', async () => {
    const { recentlyPlayed } = bench.stream.topology
    const [userId = 0] = await bench.addUsers(1)
    bench.sim.givePlay(0)
    const { stop } = await bench.start()
    await bench.polled(userId)
    await stop()
    await makeAgain(recentlyPlayed)
    await bench.start()
    await until(async () => (await bench.pages()).length === 1, 'the new topic has the page', 60_000)
    const { page_digest: digest } = await bench.state(userId)
    const before = answered('recently-played 200')
    await until(() => answered('recently-played 200') >= before + 2, 'two more polls')
    expect(await bench.pages()).toHaveLength(1)
    expect((await bench.state(userId)).page_digest).toBe(digest)
  })

  test('without plays is published once, and nothing breaks', async () => {
    const [userId = 0] = await bench.addUsers(1)
    await bench.start()
    expect(await bench.polled(userId)).toMatchObject({ newest_played_at: null, failures: 0 })
    await until(() => answered('recently-played 200') >= 3, 'three polls')
    expect(await bench.pages()).toHaveLength(1)
  })

  test('that holds nothing known is published all the same: only the loader parses', async () => {
    const [userId = 0] = await bench.addUsers(1)
    const body = '{"plays":[{"renamed":true}]}'
    bench.sim.scriptFault({
      answer: { status: 200, headers: { 'content-type': 'application/json' }, body },
      endpoint: 'recently-played',
    })
    await bench.start()
    await bench.polled(userId)
    expect(String((await bench.pages())[0]?.body)).toBe(body)
  })

  test('whose poller’s clock is two weeks behind bears Spotify’s time, and that is said', async () => {
    const weeks = 14 * 24 * 3_600_000
    const rightNow = Date.now
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => rightNow() - weeks)
    await bench.reset()
    const [userId = 0] = await bench.addUsers(1)
    await bench.start()
    await bench.polled(userId)
    const [page] = await bench.pages()
    expect(Math.abs((page?.fetchedAt ?? 0) - rightNow())).toBeLessThan(60_000)
    const skew = async () => (await bench.events()).filter((e) => e.type === 'clock_skew').map((e) => e.state)
    expect(await skew()).toEqual(['raised'])
    await bench.stopPollers()
    clock.mockRestore()
    await bench.start()
    await until(async () => (await skew()).length === 2, 'the end is said')
    expect(await skew()).toEqual(['raised', 'resolved'])
  })

  test('is in the topic before the state says so: while Kafka does not take it nothing moves', async () => {
    const [userId = 0] = await bench.addUsers(1)
    bench.sim.givePlay(0)
    await deleteTopic(bench.stream.topology.recentlyPlayed.name)
    const { health } = await bench.start()
    await until(() => answered('recently-played 200') >= 2, 'two polls in vain')
    expect(await bench.state(userId)).toMatchObject({ last_ok_at: null, page_digest: null, failures: 0 })
    expect(health.report().ready).toBe(false)
    expect(health.report().alive).toBe(true)
    await createTopic()
    await bench.polled(userId)
    expect(await bench.pages()).toHaveLength(1)
    await until(() => health.report().ready, 'the poller is ready again')
  })

  test('is published when Kafka is back, although the clock has stepped back by an hour meanwhile', async () => {
    const [userId = 0] = await bench.addUsers(1)
    bench.sim.givePlay(0)
    await deleteTopic(bench.stream.topology.recentlyPlayed.name)
    const { health } = await bench.start()
    await until(() => !health.report().ready, 'the poller waits for Kafka')
    const stepForth = stepClock(-3_600_000)
    try {
      await createTopic()
      await bench.polled(userId)
      await until(() => health.report().ready, 'the poller is ready again')
    } finally {
      stepForth()
    }
  })
})

describe('what Spotify answers', () => {
  /** A listener per fault, and as many without faults, so that it does not look like an outage. */
  async function strike(
    faults: readonly FaultName[],
    endpoint: 'recently-played' | 'token',
  ): Promise<number[]> {
    const ids = await bench.addUsers(2 * faults.length + 1)
    for (const listener of ids.keys()) bench.sim.givePlay(listener)
    for (const [listener, fault] of faults.entries()) bench.sim.scriptFault({ fault, endpoint, listener })
    await bench.start({ POLL_CONCURRENCY: '20' })
    for (const fault of faults) await until(() => struck(fault) === 1, `${fault} has struck`)
    return ids
  }

  async function expectAllPolled(ids: readonly number[]): Promise<void> {
    for (const id of ids) {
      const state = await bench.polled(id)
      expect(state).toMatchObject({ status: 'active', failures: 0, last_error: null })
    }
    const pages = await bench.pages()
    expect(ids.map((id) => pages.filter((page) => page.subject === String(id)).length)).toEqual(
      ids.map(() => 1),
    )
    expect(await bench.events()).toEqual([])
  }

  test('a failure of a page, of any kind, parks nobody, and the page comes with the next try', async () => {
    const ids = await strike(
      [
        ...(['expired_token', 'invalid_token', 'not_found', 'server_error', 'bad_gateway_html'] as const),
        ...(['upstream_text', 'gateway_timeout', 'truncated_json', 'cut_off', 'reset', 'hang'] as const),
      ],
      'recently-played',
    )
    await expectAllPolled(ids)
  })

  test('a failure of the token endpoint, be it a false invalid_grant, parks nobody', async () => {
    const faults = [
      'false_invalid_grant',
      'upstream_text',
      'truncated_json',
      'bad_gateway_html',
      'reset',
      'hang',
    ] as const
    await expectAllPolled(await strike(faults, 'token'))
  })

  test.each<FaultName>(['rate_limited', 'rate_limited_zero', 'rate_limited_bare'])(
    '%s stops the app for a moment, and then it goes on',
    async (fault) => {
      await expectAllPolled(await strike([fault], 'recently-played'))
    },
  )

  test('a refusal of the endpoint itself parks nobody and is told while nothing else comes back', async () => {
    const [userId = 0] = await bench.addUsers(1)
    bench.sim.scriptFault({ fault: 'forbidden_gated', endpoint: 'recently-played' })
    await bench.start()
    expect(await bench.polled(userId)).toMatchObject({ status: 'active' })
    expect((await bench.events()).map((e) => `${e.type} ${e.state}`)).toEqual([
      'spotify_endpoint_gated raised',
    ])
  })

  test('a single bad answer costs no turn: the page is asked for again at once', async () => {
    const [userId = 0] = await bench.addUsers(1)
    bench.sim.scriptFault({ fault: 'bad_gateway', endpoint: 'recently-played' })
    // The fair interval of this budget is hours long.
    await bench.start({ SPOTIFY_DAILY_REQUESTS: '6', POLL_MAX_INTERVAL_SECONDS: '20000' })
    await bench.polled(userId)
    expect(struck('bad_gateway')).toBe(1)
  })

  test('answers that cannot be read for an hour raise one event, which ends', async () => {
    const [userId = 0] = await bench.addUsers(1)
    const answer = { status: 204, headers: {}, body: '' }
    bench.sim.scriptFault({ answer, endpoint: 'recently-played', count: 1_000 })
    await bench.start()
    await until(async () => (await bench.state(userId)).failures > 0, 'a failure')
    await bench.postgres.query(`update poll_state set failing_since = now() - interval '61 minutes',
        error_since = now() - interval '61 minutes'`)
    const unreadable = async () =>
      (await bench.events()).filter((e) => e.type === 'spotify_unreadable').map((e) => e.state)
    await until(async () => (await unreadable()).length > 0, 'it is said')
    bench.sim.clearFaults()
    await until(async () => (await unreadable()).length > 1, 'the end is said')
    expect(await unreadable()).toEqual(['raised', 'resolved'])
  })

  test('401 for an access token that is fresh is a failure with back-off, not a loop', async () => {
    const [userId = 0] = await bench.addUsers(1)
    bench.sim.scriptFault({ fault: 'invalid_token', endpoint: 'recently-played', count: 2 })
    await bench.start()
    await until(() => struck('invalid_token') === 2, '401 twice')
    await bench.polled(userId)
    expect(answered('token 200')).toBeLessThanOrEqual(2)
  })

  test('failures in a row are counted with their reason until a success', async () => {
    const [userId = 0] = await bench.addUsers(1)
    bench.sim.scriptFault({ fault: 'bad_gateway', endpoint: 'recently-played', count: 100 })
    await bench.start()
    await until(async () => (await bench.state(userId)).failures >= 2, 'two failures')
    expect(await bench.state(userId)).toMatchObject({ status: 'active', last_error: 'server_error' })
    bench.sim.clearFaults()
    expect(await bench.polled(userId)).toMatchObject({ failures: 0, last_error: null })
  })
})

describe('a user', () => {
  const becomes = (userId: number, status: string) =>
    until(async () => {
      const state = await bench.state(userId)
      return state.status === status ? state : null
    }, `user ${userId} is ${status}`)
  const makeDue = (userId: number) =>
    bench.postgres.query('update poll_state set next_poll_at = now() where user_id = $1', [userId])
  const eventsOf = async (userId: number) =>
    (await bench.events()).filter((e) => e.subject === `user:${userId}`).map((e) => `${e.type} ${e.state}`)

  test('whose refresh token is dead is parked, told of once, keeps the token, and comes back by connecting', async () => {
    const [dead = 0, other = 0] = await bench.addUsers(3)
    bench.sim.givePlay(0)
    bench.sim.changeListener(0, { refreshToken: 'revoked' })
    await bench.start()
    expect(await becomes(dead, 'needs_reauth')).toMatchObject({
      status_reason: 'invalid_grant',
      lease_id: null,
    })
    await bench.polled(other)
    expect(await eventsOf(dead)).toEqual(['user_needs_reauth raised'])
    const { rows } = await bench.postgres.query('select 1 from spotify_tokens where user_id = $1', [dead])
    expect(rows).toHaveLength(1)
    const { next_poll_at } = await bench.state(dead)
    expect(next_poll_at.getTime() - Date.now()).toBeGreaterThan(50 * 60_000)

    expect(await addUser(bench.postgres, bench.sim, 0)).toBe(dead)
    await bench.polled(dead)
    expect(await bench.pages(dead)).toHaveLength(1)
    await until(async () => (await eventsOf(dead)).length === 2, 'the end is told')
    expect(await eventsOf(dead)).toEqual(['user_needs_reauth raised', 'user_needs_reauth resolved'])
  })

  test('parked by an error of Spotify’s is tried later, and active again by itself', async () => {
    const [userId = 0] = await bench.addUsers(3)
    const tries = 4
    bench.sim.scriptFault({ fault: 'false_invalid_grant', endpoint: 'token', listener: 0, count: tries })
    await bench.start()
    await becomes(userId, 'needs_reauth')
    const hours: number[] = []
    for (let probe = struck('false_invalid_grant') + 1; probe <= tries; probe++) {
      await makeDue(userId)
      await until(async () => struck('false_invalid_grant') === probe, 'the probe fails as well')
      const probed = await until(async () => {
        const state = await bench.state(userId)
        return state.lease_id === null && state.next_poll_at.getTime() > Date.now() ? state : null
      }, 'the next probe is planned')
      expect(probed.status).toBe('needs_reauth')
      hours.push(Math.round((probed.next_poll_at.getTime() - Date.now()) / 3_600_000))
    }
    expect(hours).toEqual([1, 2])
    await makeDue(userId)
    await bench.polled(userId)
    expect((await bench.state(userId)).status).toBe('active')
    await until(async () => (await eventsOf(userId)).length === 2, 'the end is told')
    expect(await eventsOf(userId)).toEqual(['user_needs_reauth raised', 'user_needs_reauth resolved'])
  })

  test('who is not on the app’s list is forbidden, told of once, and back when the owner adds them', async () => {
    const [userId = 0, other = 0] = await bench.addUsers(3)
    bench.sim.changeListener(0, { listed: false })
    await bench.start()
    expect(await becomes(userId, 'forbidden')).toMatchObject({ status_reason: 'user_not_listed' })
    await bench.polled(other)
    expect(await eventsOf(userId)).toEqual(['user_forbidden raised'])
    bench.sim.changeListener(0, { listed: true })
    await makeDue(userId)
    await bench.polled(userId)
    expect((await bench.state(userId)).status).toBe('active')
  })

  test('who has not granted the scope needs to connect again', async () => {
    const [userId = 0, other = 0] = await bench.addUsers(3)
    bench.sim.scriptFault({ fault: 'forbidden_scope', endpoint: 'recently-played', listener: 0, count: 9 })
    await bench.start()
    expect(await becomes(userId, 'needs_reauth')).toMatchObject({ status_reason: 'missing_scope' })
    await bench.polled(other)
  })

  test.each([
    'Zugang verweigert: dieses Konto ist uns nicht geläufig.',
    'The user is not registered for this application. Please check your settings on developer.spotify.com',
    '{"error":{"status":403,"message":"User not approved for app"}}',
    '{"error":{"status":403,"message":"Forbidden"}}',
  ])(
    'who is refused while others are served is forbidden, and nobody else, whatever the words: %s',
    async (body) => {
      const ids = await bench.addUsers(5)
      const [refused = 0, ...others] = ids
      const answer = { status: 403, headers: {}, body }
      bench.sim.scriptFault({ answer, endpoint: 'recently-played', listener: 0, count: 1_000 })
      await bench.start()
      await becomes(refused, 'forbidden')
      for (const other of others) expect((await bench.polled(other)).status).toBe('active')
      expect(await eventsOf(refused)).toEqual(['user_forbidden raised'])
      expect((await bench.events()).filter((e) => e.subject === 'app')).toEqual([])
    },
  )

  test('is not parked while nobody else is served: with three users that is an outage', async () => {
    const ids = await bench.addUsers(3)
    const answer = { status: 403, headers: {}, body: 'Nobody may pass' }
    bench.sim.scriptFault({ answer, endpoint: 'recently-played', count: 1_000 })
    await bench.start()
    const outage = async () => (await bench.events()).some((e) => e.type === 'spotify_outage')
    await until(outage, 'the outage is published')
    expect((await Promise.all(ids.map(bench.state))).map((s) => s.status)).toEqual(ids.map(() => 'active'))
  })

  test('who is alone is not parked by a fault of some hours, however often it is met, and is by one that stays', async () => {
    const [userId = 0] = await bench.addUsers(1)
    bench.sim.changeListener(0, { listed: false })
    await bench.start()
    await until(async () => (await bench.state(userId)).failures >= 4, 'four refusals')
    expect((await bench.state(userId)).status).toBe('active')
    await bench.postgres.query('update poll_state set error_count = 14')
    await until(async () => (await bench.state(userId)).failures >= 6, 'two refusals more')
    expect((await bench.state(userId)).status).toBe('active')
    await bench.postgres.query(`update poll_state set error_since = now() - interval '4 h'`)
    await becomes(userId, 'forbidden')
  })

  test('is not parked where the only other one was served meanwhile, and is refused as well now', async () => {
    const [first = 0, other = 0] = await bench.addUsers(2)
    const answer = { status: 403, headers: {}, body: 'Nobody may pass' }
    bench.sim.scriptFault({ answer, endpoint: 'recently-played', listener: 0, count: 1_000 })
    await bench.start()
    await until(async () => (await bench.state(first)).failures >= 2, 'the first one is refused')
    const refusedAt = new Date()
    await until(
      async () => Number((await bench.state(other)).last_ok_at) > Number(refusedAt),
      'one is served',
    )
    bench.sim.scriptFault({ answer, endpoint: 'recently-played', listener: 1, count: 1_000 })
    await until(async () => (await bench.state(other)).failures >= 1, 'the other one is refused as well')
    const age = `update poll_state set error_count = 9, error_since = error_since - interval '1 h'`
    await bench.postgres.query(`${age} where user_id = $1`, [first])
    const before = (await bench.state(first)).failures
    await until(
      async () => (await bench.state(first)).failures > before + 1,
      'the first one is refused again',
    )
    expect((await Promise.all([first, other].map(bench.state))).map((s) => s.status)).toEqual([
      'active',
      'active',
    ])
  })

  test('whose failures were of another kind for a day is not believed dead at the first refusal', async () => {
    const ids = await bench.addUsers(4)
    await bench.postgres.query(
      `update poll_state set failures = 9, last_error = 'server_error', failing_since = now() - interval '30 h',
         last_failed_at = now(), error_since = now() - interval '30 h', error_count = 9`,
    )
    bench.sim.setFaults({ false_invalid_grant: 1 })
    await bench.start()
    const outage = async () => (await bench.events()).some((e) => e.type === 'spotify_outage')
    await until(outage, 'it is taken for an outage')
    expect((await Promise.all(ids.map(bench.state))).map((s) => s.status)).toEqual(ids.map(() => 'active'))
  })

  test('whose consent ended long ago is not tried without end', async () => {
    const [userId = 0] = await bench.addUsers(3)
    await bench.postgres.query(
      `update users set authorized_at = now() - interval '200 days', status = 'needs_reauth',
         status_reason = 'invalid_grant' where id = $1`,
      [userId],
    )
    await bench.postgres.query('update poll_state set probes = 4, next_poll_at = now() where user_id = $1', [
      userId,
    ])
    bench.sim.changeListener(0, { refreshToken: 'revoked' })
    await bench.start()
    await until(async () => {
      const { rows } = await bench.postgres.query<{ never: boolean }>(
        `select next_poll_at = 'infinity' as never from poll_state where user_id = $1`,
        [userId],
      )
      return rows[0]?.never
    }, 'the last probe was made')
    // Connecting again makes them due.
    await addUser(bench.postgres, bench.sim, 0)
    await bench.polled(userId)
  })

  test('whose tokens belong to another app is not asked for, and that is said at once', async () => {
    const [userId = 0, other = 0] = await bench.addUsers(2)
    await bench.postgres.query(`update spotify_tokens set client_id = 'the-old-app' where user_id = $1`, [
      userId,
    ])
    await bench.start()
    await bench.polled(other)
    const said = await until(
      async () => (await bench.events()).find((e) => e.type === 'tokens_of_another_app'),
      'it is said',
    )
    expect(said.message).toContain('the-old-app')
    expect(await bench.state(userId)).toMatchObject({
      status: 'active',
      last_error: 'other_app',
      last_ok_at: null,
    })
    await bench.postgres.query('update spotify_tokens set client_id = null')
    await bench.polled(userId)
    await until(async () => (await bench.events()).some((e) => e.state === 'resolved'), 'the end is said')
  })

  test('without a display name is polled like the others and told of once', async () => {
    const userId = await addUser(bench.postgres, bench.sim, 0, { displayName: null })
    await bench.start()
    await bench.polled(userId)
    await until(() => answered('recently-played 200') >= 3, 'three polls')
    expect(await eventsOf(userId)).toEqual(['user_profile_incomplete raised'])
    expect((await bench.events())[0]).toMatchObject({ severity: 'info' })
    expect((await bench.state(userId)).status).toBe('active')
  })

  test('whose stored token cannot be opened harms nobody, and the missing key is told', async () => {
    const [userId = 0, other = 0] = await bench.addUsers(2)
    await bench.postgres.query(`update spotify_tokens set refresh_token = 'plain' where user_id = $1`, [
      userId,
    ])
    await bench.start()
    await bench.polled(other)
    await until(async () => (await bench.state(userId)).failures > 0, 'the failure is counted')
    expect(await bench.state(userId)).toMatchObject({ status: 'active', last_error: 'token_unreadable' })
    expect((await bench.events()).map((e) => e.type)).toEqual(['tokens_unreadable'])
    const sealed = await testCrypto.seal(bench.sim.refreshToken(0))
    await bench.postgres.query('update spotify_tokens set refresh_token = $2 where user_id = $1', [
      userId,
      sealed,
    ])
    await bench.polled(userId)
  })

  test('without any token is parked with that reason', async () => {
    const [userId = 0] = await bench.addUsers(1)
    await bench.postgres.query('delete from spotify_tokens')
    await bench.start()
    expect(await becomes(userId, 'needs_reauth')).toMatchObject({ status_reason: 'no_tokens' })
  })

  test('who is paused is not asked for; resumed, they are due at once', async () => {
    const [userId = 0] = await bench.addUsers(1)
    const setStatus = (status: string) =>
      bench.postgres.query('update users set status = $2 where id = $1', [userId, status])
    await bench.start()
    await bench.polled(userId)
    await setStatus('paused')
    await until(async () => (await bench.state(userId)).lease_id === null, 'no poll is under way')
    const asked = answered('recently-played 200')
    const [other = 0] = [await addUser(bench.postgres, bench.sim, 1)]
    await bench.polled(other)
    await until(
      async () => answered('recently-played 200') >= asked + 3,
      'the other one is polled three times',
    )
    const { rows } = await bench.postgres.query(
      'select last_ok_at < now() - interval $$1 s$$ as is_old from poll_state where user_id = $1',
      [userId],
    )
    expect(rows).toEqual([{ is_old: true }])
    const before = (await bench.state(userId)).last_ok_at
    await setStatus('active')
    await until(
      async () => (await bench.state(userId)).last_ok_at?.getTime() !== before?.getTime(),
      'polled again',
    )
  })

  test('who is added while nothing is to be done is polled within moments', async () => {
    await bench.start()
    const [userId = 0] = await bench.addUsers(1)
    const added = Date.now()
    await bench.polled(userId)
    expect(Date.now() - added).toBeLessThan(5_000)
  })
})

async function deleteTopic(name: string): Promise<void> {
  const admin = createClient({ config: bench.stream.config, log: bench.stream.log, name: 'test' }).admin()
  await admin.connect()
  await admin.deleteTopics({ topics: [name] })
  await admin.disconnect()
}

async function createTopic(): Promise<void> {
  const admin = await openAdmin({ config: bench.stream.config, log: bench.stream.log, name: 'test' })
  await admin.ensureTopics([bench.stream.topology.recentlyPlayed], 1)
  await admin.close()
}

test('one hundred thousand others in the table cost a claim nothing', async () => {
  await bench.addUsers(3)
  await bench.postgres.query(`
    with many as (
      insert into users (spotify_id, status)
      select 'other-' || n, case when n % 2 = 0 then 'paused' else 'active' end from generate_series(1, 100000) n
      returning id, status
    )
    insert into poll_state (user_id, next_poll_at)
    select id, case status when 'paused' then 'infinity' else now() + interval '1 hour' end from many`)
  const read = await bench.postgres.transaction(async (sql) => {
    const claimed = await claimDue(sql, 10, 4_000)
    expect(claimed).toHaveLength(3)
    const { rows } = await sql.query(
      `select coalesce(sum(seq_tup_read), 0)::int as scanned from pg_stat_xact_user_tables
       where relname in ('poll_state', 'users', 'spotify_tokens')`,
    )
    return rows[0]?.scanned
  })
  expect(read).toBeLessThan(100)
})
