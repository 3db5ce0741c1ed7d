import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { HttpRecorder, RecordedRequest } from '../support/http-recorder.ts'
import { openHttpRecorder } from '../support/http-recorder.ts'
import type { PollerBench } from '../support/poller.ts'
import { openPollerBench } from '../support/poller.ts'
import { spawnService } from '../support/service-process.ts'
import { until } from '../support/until.ts'

let bench: PollerBench

beforeAll(async () => {
  bench = await openPollerBench()
})
afterAll(() => bench.release())
beforeEach(() => bench.reset({ latencyMs: 100 }))

const allPolled = (ids: readonly number[]) => Promise.all(ids.map((id) => bench.polled(id)))

async function recorded(work: (recorder: HttpRecorder, env: Record<string, string>) => Promise<void>) {
  const recorder = await openHttpRecorder(bench.sim.url)
  await work(recorder, { SPOTIFY_API_URL: `${recorder.url}/v1` })
  await bench.reset()
  await recorder.close()
}

/** Counts the moments with several requests in flight for one user's page; 0 without an overlap. */
function overlaps(requests: readonly RecordedRequest[]): number {
  const open = new Map<string, number>()
  let count = 0
  const moments = requests
    .filter((r) => r.path.includes('recently-played'))
    .flatMap((r) => [
      { at: r.startedAt, step: 1, who: r.authorization },
      { at: r.endedAt ?? Date.now(), step: -1, who: r.authorization },
    ])
    .sort((a, b) => a.at - b.at || a.step - b.step)
  for (const { step, who } of moments) {
    const now = (open.get(who) ?? 0) + step
    open.set(who, now)
    if (now > 1) count++
  }
  return count
}

describe('several pollers', () => {
  test('share the users: each is polled in turn, none by two at once', async () => {
    await recorded(async ({ requests }, env) => {
      const ids = await bench.addUsers(30)
      await Promise.all([1, 2, 3].map(() => bench.start(env)))
      await allPolled(ids)
      await until(() => requests.length >= 150, 'five rounds')
      expect(overlaps(requests)).toBe(0)
      const rounds = Map.groupBy(requests, (r) => r.authorization)
      expect(rounds.size).toBe(ids.length)
      expect(Math.min(...[...rounds.values()].map((r) => r.length))).toBeGreaterThanOrEqual(2)
      expect(await bench.pages()).toHaveLength(ids.length)
    })
  })

  test('of which one is killed in the middle of its polls lose no user: the lease runs out', async () => {
    const ids = await bench.addUsers(8)
    bench.sim.scriptFault({ fault: 'hang', endpoint: 'recently-played', count: 100 })
    const doomed = await spawnService('poller', { ...bench.env, POLL_CONCURRENCY: '8', LOG_LEVEL: 'info' })
    const readHeld = async () => {
      const { rows } = await bench.postgres.query<{ held: number }>(
        'select count(*) as held from poll_state where lease_id is not null',
      )
      return rows[0]?.held ?? 0
    }
    await until(
      async () => (bench.sim.stats().faults.hang ?? 0) >= 2 && (await readHeld()) >= 2,
      'polls hang',
    )
    await doomed.end('SIGKILL')
    expect(await readHeld()).toBeGreaterThan(0)
    bench.sim.clearFaults()
    await bench.start()
    await allPolled(ids)
    expect(new Set((await bench.pages()).map((page) => page.subject))).toEqual(new Set(ids.map(String)))
  })
})

describe('a poller', () => {
  test('that is stopped finishes the polls in hand and leaves no lease', async () => {
    await bench.reset({ latencyMs: 700 })
    const ids = await bench.addUsers(4)
    const poller = await spawnService('poller', { ...bench.env, LOG_LEVEL: 'info' })
    const asked = () => (bench.sim.stats().answers['token 200'] ?? 0) === 4
    await until(asked, 'all users are being polled')
    expect(await poller.end('SIGTERM')).toBe(0)
    const states = await Promise.all(ids.map(bench.state))
    expect(states.map((s) => [s.lease_id, s.last_ok_at !== null])).toEqual(ids.map(() => [null, true]))
    expect(await bench.pages()).toHaveLength(4)
  })

  test('does not wait for a user who hangs before it polls the others', async () => {
    const ids = await bench.addUsers(12)
    for (const listener of [0, 1, 2]) {
      bench.sim.scriptFault({ fault: 'hang', endpoint: 'recently-played', listener, count: 50 })
    }
    await bench.start()
    await allPolled(ids.slice(3))
    expect((await bench.state(ids[0] ?? 0)).last_ok_at).toBeNull()
  })

  test('whose lease was lost while it waited changes nothing of the user’s state', async () => {
    const [userId = 0] = await bench.addUsers(1)
    bench.sim.givePlay(0)
    await bench.reset({ latencyMs: 800 })
    const [again = 0] = await bench.addUsers(1)
    await bench.start()
    await until(async () => (await bench.state(again)).lease_id, 'the poll is under way')
    await bench.postgres.query(
      `update poll_state set lease_id = gen_random_uuid(), leased_until = 'infinity', next_poll_at = 'infinity'`,
    )
    await until(async () => (await bench.pages(again)).length === 1, 'the page is published')
    expect(await bench.state(again)).toMatchObject({ last_ok_at: null, page_digest: null })
    expect(userId).not.toBe(again)
  })

  test('with all faults at once publishes every play that Spotify delivered', async () => {
    await bench.reset({
      ...{ plays: 'days', playsSince: 0, speed: 1_000, listeners: 20 },
      ...{ hangMs: 4_000, slowBodyMs: 300, refreshTokenRotation: 'always', accessTokenSeconds: 20 },
    })
    const ids = await bench.addUsers(20)
    bench.sim.setFaults({
      ...{
        expired_token: 0.03,
        not_found: 0.02,
        server_error: 0.02,
        bad_gateway_html: 0.02,
        upstream_text: 0.02,
      },
      ...{ truncated_json: 0.02, slow_body: 0.02, cut_off: 0.02, reset: 0.02, hang: 0.01, empty_page: 0.02 },
      ...{ rate_limited_zero: 0.01, rate_limited: 0.005 },
    })
    const { failures } = await bench.start({ POLL_CONCURRENCY: '8' })
    const { truth } = bench.sim
    await until(
      () => truth.counts().pages > 150 && truth.counts().plays > 1_100,
      'many pages and new plays are delivered',
      90_000,
    )
    bench.sim.clearFaults()
    const calm = new Date()
    await until(
      async () => (await Promise.all(ids.map(bench.state))).every((s) => s.last_ok_at && s.last_ok_at > calm),
      'all are polled without faults',
    )
    await bench.stopPollers()
    expect(failures).toEqual([])
    const published = (await bench.pages()).flatMap((page) =>
      JSON.parse(String(page.body)).items.map(
        (item: { played_at: string }) => `${page.subject} ${item.played_at}`,
      ),
    )
    const delivered = truth.delivered().map((play) => `${ids[play.listener]} ${play.playedAt}`)
    expect(new Set(published)).toEqual(new Set(delivered))
    const { rows } = await bench.postgres.query('select distinct status from users')
    expect(rows).toEqual([{ status: 'active' }])
  }, 150_000)
})
