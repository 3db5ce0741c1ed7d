import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import { openBudget } from '../../lib/spotify/budget.ts'
import { blocksFromDailyRequests } from '../../lib/spotify/budget-blocks.ts'
import type { Gateway } from '../../lib/spotify/gateway.ts'
import { openGateway } from '../../lib/spotify/gateway.ts'
import type { RequestLane } from '../../lib/spotify/outcome.ts'
import { withPermit } from '../../lib/spotify/permit.ts'
import { openAppToken } from '../../lib/spotify/tokens.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import type { TestDatabase } from '../support/database.ts'
import { createDatabase } from '../support/database.ts'
import { spotifyTestConfig } from '../support/spotify.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'

let database: TestDatabase
let postgres: Postgres
let sim: SpotifySimulator
let gateway: Gateway
let clientId: string
let used: (lane: RequestLane) => Promise<number>

beforeAll(async () => {
  database = await createDatabase()
  postgres = database.openPostgres(6)
  sim = await startSpotifySimulator({ listeners: 3 })
})
afterAll(async () => {
  await gateway.close()
  await sim.stop()
  await database.release()
})
beforeEach(async () => {
  await gateway?.close()
  sim.clearFaults()
  const config = spotifyTestConfig(sim, { SPOTIFY_DAILY_REQUESTS: '100' })
  clientId = config.clientId
  gateway = openGateway({ sql: postgres, config, connections: 2 })
  used = async (lane) => (await gateway.read()).lanes[lane].used
})

const profile = { kind: 'profile', lane: 'polling', path: '/me', accessToken: 'nonsense' } as const
const requests = () => Object.values(sim.stats().answers).reduce((a, b) => a + b, 0)

describe('the gateway', () => {
  test('counts every request, of whatever kind, whatever comes of it', async () => {
    const before = requests()
    await gateway.get(profile)
    await gateway.get({ ...profile, lane: 'enrichment' })
    await openAppToken(gateway).get()
    await gateway.postToken({ grant_type: 'refresh_token', refresh_token: 'nonsense' })
    expect(requests() - before).toBe(4)
    expect([await used('polling'), await used('enrichment'), await used('accounts')]).toEqual([1, 1, 2])
  })

  test('asks for no token while accounts are paused, with or without a Retry-After, and says for how long', async () => {
    const appToken = openAppToken(gateway)
    sim.scriptFault({ fault: 'rate_limited_bare', endpoint: 'token' })
    expect(await appToken.get()).toMatchObject({ type: 'refused', outcome: { type: 'rate_limited' } })
    const before = requests()
    for (let i = 0; i < 5; i++) {
      const answer = await appToken.get()
      expect(answer).toMatchObject({
        type: 'deferred',
        refusal: { reason: 'paused', detail: 'rate_limited' },
      })
    }
    expect(requests()).toBe(before)
    expect(await used('accounts')).toBe(1)
  })

  test('sends nothing that the budget does not grant', async () => {
    await gateway.reserve('polling', 100)
    const before = requests()
    const asked = await gateway.get(profile)
    expect(asked).toMatchObject({ type: 'refused', refusal: { reason: 'spent' } })
    expect(requests()).toBe(before)
  })

  test('stores the 429 of a profile, for all processes', async () => {
    sim.scriptFault({ fault: 'quota_exceeded', endpoint: 'me' })
    await gateway.get(profile)
    const { pausedForMs, reason } = (await gateway.read()).lanes.polling
    expect(reason).toBe('quota_exceeded')
    expect(pausedForMs).toBeGreaterThan(60_000)
  })

  test('remembers the 429 that Postgres was not there for, and sends nothing before it is stored', async () => {
    const url = new URL(database.env.DATABASE_URL ?? '')
    const link = await openTcpProxy({ port: Number(url.port) })
    url.port = String(link.port)
    const sql = openPostgres({ url: new Secret(url.href), connections: 2, name: 'linked', log: database.log })
    const config = spotifyTestConfig(sim, { SPOTIFY_CLIENT_ID: clientId })
    const linked = openGateway({ sql, config, connections: 1 })
    const { permits } = await linked.reserve('polling', 1)
    link.setMode({ type: 'refuse' })
    link.cut()
    sim.scriptFault({ fault: 'quota_exceeded', endpoint: 'me' })
    expect(await linked.get(profile, permits[0])).toMatchObject({ type: 'answered' })
    await expect(linked.reserve('polling', 1)).rejects.toThrow()
    link.setMode({ type: 'open' })
    expect((await linked.reserve('polling', 1)).refusal).toMatchObject({ detail: 'quota_exceeded' })
    await linked.close()
    await sql.close()
    await link.close()
  })
})

describe('a permit', () => {
  test('that is not used goes back to the budget, once', async () => {
    const { permits } = await gateway.reserve('polling', 3)
    const [first, second, third] = permits
    if (!first || !second || !third) throw new Error('no permits')
    await withPermit(first, async () => 'nothing was sent')
    await first.refund()
    await withPermit(second, () => gateway.get(profile, second))
    await expect(withPermit(third, () => Promise.reject(new Error('a bug')))).rejects.toThrow('a bug')
    expect(await used('polling')).toBe(1)
  })

  test('is for one request', async () => {
    const { permits } = await gateway.reserve('polling', 1)
    await gateway.get(profile, permits[0])
    await expect(gateway.get(profile, permits[0])).rejects.toThrow('one request')
  })

  test('goes back to its own window alone', async () => {
    const { permits } = await gateway.reserve('polling', 2)
    await permits[0]?.refund()
    await postgres.query(
      `update api_pauses set window_started_at = window_started_at - interval '25 h' where client_id = $1`,
      [clientId],
    )
    await gateway.reserve('polling', 5)
    await permits[1]?.refund()
    expect(await used('polling')).toBe(5)
  })
})

describe('above ten thousand requests a day', () => {
  const dailyRequests = 8_640_000
  const open = (daily = dailyRequests) => openBudget({ sql: postgres, clientId, dailyRequests: daily })

  test('claims take from a block that was reserved once, and what is left of it goes back', async () => {
    expect(dailyRequests).toBeGreaterThan(blocksFromDailyRequests)
    const budget = open()
    for (let i = 0; i < 20; i++) expect((await budget.reserve('polling', 10)).granted).toBe(10)
    expect(await used('polling')).toBe(1_000)
    await budget.close()
    expect(await used('polling')).toBe(200)
  })

  test('a pause that begins is seen at the next claim, whatever the block still holds', async () => {
    const [budget, other] = [open(), open()]
    await budget.reserve('polling', 1)
    await other.settle('polling', { type: 'rate_limited', retryAfterMs: 30_000 })
    expect(await budget.reserve('polling', 1)).toMatchObject({ granted: 0, refusal: { reason: 'paused' } })
    await budget.close()
    await other.close()
  })

  test('many processes together take not one request more than there are', async () => {
    const daily = 10_001
    const budgets = Array.from({ length: 5 }, () => open(daily))
    await open(daily).reserve('polling', daily - 60)
    let granted = 0
    const drain = async (budget: (typeof budgets)[number]) => {
      for (let more = 1; more > 0; granted += more) more = (await budget.reserve('polling', 1)).granted
    }
    await Promise.all(budgets.map(drain))
    for (const budget of budgets) await budget.close()
    await Promise.all(budgets.map(drain))
    expect(granted).toBeLessThanOrEqual(60)
    expect(await used('polling')).toBeLessThanOrEqual(daily)
  })
})
