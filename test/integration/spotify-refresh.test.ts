import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import type { Budget } from '../../lib/spotify/budget.ts'
import { openBudget } from '../../lib/spotify/budget.ts'
import type { SpotifyClient } from '../../lib/spotify/client.ts'
import { openSpotifyClient } from '../../lib/spotify/client.ts'
import type { Gateway } from '../../lib/spotify/gateway.ts'
import { gatewayOf, openGateway } from '../../lib/spotify/gateway.ts'
import type { Refresher } from '../../lib/spotify/refresh.ts'
import { createRefresher } from '../../lib/spotify/refresh.ts'
import { createTokenCrypto, UnreadableTokenError } from '../../lib/spotify/token-crypto.ts'
import {
  claimRefresh,
  connectUser,
  readTokens,
  releaseRefresh,
  storeRefreshed,
} from '../../lib/spotify/token-store.ts'
import { addSimulatedUsers } from '../../simulators/demo-users.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import type { TestDatabase } from '../support/database.ts'
import { createDatabase } from '../support/database.ts'
import { addUser, spotifyTestConfig, spotifyTestEnv, testCrypto } from '../support/spotify.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

let database: TestDatabase
let postgres: Postgres
let sim: SpotifySimulator
let client: SpotifyClient
let refresher: Refresher
let budget: Budget
let listener = 0

beforeAll(async () => {
  database = await createDatabase()
  postgres = database.openPostgres(8)
  sim = await startSpotifySimulator({ listeners: 50, refreshTokenRotation: 'always', hangMs: 3_000 })
  client = openSpotifyClient(spotifyTestConfig(sim), { connections: 8 })
  budget = openBudget({ sql: postgres, clientId: 'refresh', dailyRequests: 1_000_000 })
  refresher = refresherOf(gatewayOf({ client, budget }))
})
afterAll(async () => {
  await client.close()
  await budget.close()
  await sim.stop()
  await database.release()
})
beforeEach(() => {
  sim.clearFaults()
  listener += 1
})

const tokensOf = async (userId: number) => {
  const stored = await readTokens(postgres, userId)
  if (!stored?.accessSealed) throw new Error('no tokens')
  const [refresh, access] = await Promise.all([
    testCrypto.open(stored.refreshSealed),
    testCrypto.open(stored.accessSealed),
  ])
  return { refresh, access, expiresInMs: stored.expiresInMs }
}
const refresherOf = (gateway: Gateway, sql: Postgres = postgres) =>
  createRefresher({ gateway, clientId: 'refresh', sql, crypto: testCrypto, log: database.log })

/** A refresher for which `change` happens before it gets Spotify's answer. */
function refresherAfter(change: () => Promise<unknown>, sql: Postgres = postgres): Refresher {
  const slow: SpotifyClient = {
    ...client,
    async postToken(...args) {
      const answer = await client.postToken(...args)
      await change()
      return answer
    },
  }
  return refresherOf(gatewayOf({ client: slow, budget }), sql)
}
const tokenRequests = () => sim.stats().answers['token 200'] ?? 0

describe('a refresh', () => {
  test('stores the rotated token and the new access token, sealed', async () => {
    const userId = await addUser(postgres, sim, listener)
    const old = await tokensOf(userId)
    const result = await refresher.refresh(userId)
    const stored = await tokensOf(userId)
    expect(result).toEqual({ type: 'fresh', accessToken: stored.access })
    expect(stored.refresh).not.toBe(old.refresh)
    expect(stored.expiresInMs).toBeGreaterThan(3_500_000)
    const { rows } = await postgres.query('select refresh_token from spotify_tokens where user_id = $1', [
      userId,
    ])
    expect(rows[0]?.refresh_token).not.toContain(stored.refresh)
    // The old token is dead, the stored one is valid.
    expect((await refresher.refresh(userId, { rejected: stored.access })).type).toBe('fresh')
  })

  test('keeps the old token when Spotify sends none', async () => {
    const steady = await startSpotifySimulator({ listeners: 2, refreshTokenRotation: 'never' })
    const own = openGateway({ sql: postgres, config: spotifyTestConfig(steady), connections: 2 })
    const userId = await addUser(postgres, steady, 1)
    const before = await readTokens(postgres, userId)
    expect((await refresherOf(own).refresh(userId)).type).toBe('fresh')
    expect((await readTokens(postgres, userId))?.refreshSealed).toBe(before?.refreshSealed)
    await own.close()
    await steady.stop()
    await postgres.query('delete from users where id = $1', [userId])
  })

  test('by ten at once asks Spotify once: nobody kills the token that another has just got', async () => {
    const userId = await addUser(postgres, sim, listener)
    const before = tokenRequests()
    const results = await Promise.all(Array.from({ length: 10 }, () => refresher.refresh(userId)))
    expect(tokenRequests() - before).toBe(1)
    expect(results.every((r) => r.type === 'fresh' || r.type === 'deferred')).toBe(true)
    expect((await refresher.refresh(userId, { rejected: 'x' })).type).toBe('fresh')
  })

  test('is not repeated for an access token that somebody else has renewed already', async () => {
    const userId = await addUser(postgres, sim, listener)
    const first = await refresher.refresh(userId)
    const before = tokenRequests()
    expect(await refresher.refresh(userId, { rejected: 'the one before' })).toEqual(first)
    expect(tokenRequests()).toBe(before)
  })

  test('that Spotify refuses keeps the token and lets the next one try', async () => {
    const userId = await addUser(postgres, sim, listener)
    const before = await readTokens(postgres, userId)
    sim.scriptFault({ fault: 'false_invalid_grant', endpoint: 'token' })
    const result = await refresher.refresh(userId)
    expect(result.type === 'refused' && result.outcome.type).toBe('invalid_grant')
    expect((await readTokens(postgres, userId))?.refreshSealed).toBe(before?.refreshSealed)
    expect((await refresher.refresh(userId)).type).toBe('fresh')
  })

  test('whose user has connected again meanwhile is no dead token', async () => {
    const userId = await addUser(postgres, sim, listener)
    await postgres.query('update spotify_tokens set refresh_token = $2 where user_id = $1', [
      userId,
      await testCrypto.seal('a dead one'),
    ])
    const late = refresherAfter(() => addUser(postgres, sim, listener))
    expect((await late.refresh(userId)).type).toBe('deferred')
  })

  test('that the budget does not allow asks nothing, and a rejected access token is not tried again', async () => {
    const userId = await addUser(postgres, sim, listener)
    const fresh = await refresher.refresh(userId)
    const spent = openBudget({ sql: postgres, clientId: `spent-${userId}`, dailyRequests: 1 })
    await spent.reserve('polling', 1)
    const poor = refresherOf(gatewayOf({ client, budget: spent }))
    const before = tokenRequests()
    const rejected = fresh.type === 'fresh' ? fresh.accessToken : ''
    expect((await poor.refresh(userId, { rejected })).type).toBe('deferred')
    expect(tokenRequests()).toBe(before)
    expect((await tokensOf(userId)).expiresInMs).toBeLessThanOrEqual(0)
  })

  test('of a user without tokens, or with an unreadable one, is told apart', async () => {
    const userId = await addUser(postgres, sim, listener)
    const foreign = createTokenCrypto([
      { kid: 'lost', key: new Secret(randomBytes(32).toString('base64url')) },
    ])
    await postgres.query('update spotify_tokens set refresh_token = $2 where user_id = $1', [
      userId,
      await foreign.seal('token'),
    ])
    await expect(refresher.refresh(userId)).rejects.toBeInstanceOf(UnreadableTokenError)
    await postgres.query('delete from spotify_tokens where user_id = $1', [userId])
    expect((await refresher.refresh(userId)).type).toBe('no_tokens')
  })

  test('a rotated token survives the keys being rotated while Spotify was asked', async () => {
    const userId = await addUser(postgres, sim, listener)
    const before = await tokensOf(userId)
    const late = refresherAfter(async () => {
      const sealed = await testCrypto.seal(before.refresh)
      await postgres.query('update spotify_tokens set refresh_token = $2 where user_id = $1', [
        userId,
        sealed,
      ])
    })
    expect((await late.refresh(userId)).type).toBe('fresh')
    expect((await tokensOf(userId)).refresh).not.toBe(before.refresh)
    expect((await refresher.refresh(userId, { rejected: (await tokensOf(userId)).access })).type).toBe(
      'fresh',
    )
  })

  test('a rotated token is stored as soon as Postgres takes it again, however long that takes', async () => {
    const userId = await addUser(postgres, sim, listener)
    const before = await tokensOf(userId)
    const url = new URL(database.env.DATABASE_URL ?? '')
    const link = await openTcpProxy({ port: Number(url.port) })
    url.port = String(link.port)
    const linked = openPostgres({
      url: new Secret(url.href),
      connections: 2,
      name: 'linked',
      log: database.log,
    })
    const stubborn = refresherAfter(async () => {
      link.setMode({ type: 'refuse' })
      link.cut()
      // An hour passes while the refresher retries.
      const began = Date.now
      setTimeout(() => vi.spyOn(Date, 'now').mockImplementation(() => began() + 3_600_000), 200)
      setTimeout(() => link.setMode({ type: 'open' }), 1_000)
    }, linked)
    expect((await stubborn.refresh(userId)).type).toBe('fresh')
    vi.restoreAllMocks()
    expect((await tokensOf(userId)).refresh).not.toBe(before.refresh)
    await linked.close()
    await link.close()
  })
})

describe('a refresher', () => {
  /** Records the steps of a refresh in order: statements of Postgres and requests to Spotify. */
  function recorded(): { steps: string[]; refresh: Refresher['refresh']; budget: Budget } {
    const steps: string[] = []
    const query = (...args: Parameters<Postgres['query']>) => {
      const [statement] = args as unknown as [string | { text: string }]
      steps.push((typeof statement === 'string' ? statement : statement.text).replace(/\s+/g, ' ').trim())
      return postgres.query(...args)
    }
    const sql = { ...postgres, query } as Postgres
    const slow: SpotifyClient = {
      ...client,
      postToken(...args) {
        steps.push('Spotify')
        return client.postToken(...args)
      },
    }
    const own = openBudget({ sql, clientId: 'recorded', dailyRequests: 1_000 })
    const { refresh } = refresherOf(gatewayOf({ client: slow, budget: own }), sql)
    return { steps, refresh, budget: own }
  }

  test('asks Spotify right after Postgres took the claim, and stores right after the answer', async () => {
    const userId = await addUser(postgres, sim, listener)
    const { steps, refresh } = recorded()
    expect((await refresh(userId)).type).toBe('fresh')
    const asked = steps.indexOf('Spotify')
    expect(steps[asked - 1]).toMatch(/^update spotify_tokens set refreshing_until = now\(\)/)
    expect(steps[asked + 1]).toMatch(/^update spotify_tokens set refresh_token/)
  })

  test('stores the token before it stores what the answer says about pauses', async () => {
    const userId = await addUser(postgres, sim, listener)
    const { steps, refresh, budget: own } = recorded()
    await own.pause({ lanes: ['accounts'], ms: 1, maxMs: null, reason: 'outage' })
    expect(await until(async () => (await refresh(userId)).type === 'fresh', 'the pause is over')).toBe(true)
    const asked = steps.indexOf('Spotify')
    expect(steps[asked + 1]).toMatch(/^update spotify_tokens set refresh_token/)
    expect(steps.slice(asked + 2).join()).toContain('update api_pauses set strikes = 0')
  })

  test('asks Spotify for nothing while Postgres does not take the claim', async () => {
    const userId = await addUser(postgres, sim, listener)
    const { steps, refresh } = recorded()
    const other = await claimRefresh(postgres, userId, 60_000)
    expect((await refresh(userId)).type).toBe('deferred')
    expect(steps).not.toContain('Spotify')
    if (other) await releaseRefresh(postgres, userId, other)
    const away = refresherOf(gatewayOf({ client, budget }), {
      ...postgres,
      query: () => Promise.reject(new Error('Postgres is away')),
    } as unknown as Postgres)
    const before = tokenRequests()
    await expect(away.refresh(userId)).rejects.toThrow('away')
    expect(tokenRequests()).toBe(before)
  })
})

describe('a refresher that comes late', () => {
  const late = { accessSealed: 'access', expiresInMs: 3_600_000, scope: null }

  test('never overwrites a newer token', async () => {
    const userId = await addUser(postgres, sim, listener)
    const old = await readTokens(postgres, userId)
    await refresher.refresh(userId)
    const newer = await readTokens(postgres, userId)
    const stored = await storeRefreshed(postgres, userId, {
      ...late,
      usedSealed: old?.refreshSealed ?? '',
      refreshSealed: 'zombie',
    })
    expect(stored).toBe(false)
    expect(await readTokens(postgres, userId)).toMatchObject({ refreshSealed: newer?.refreshSealed })
  })

  test('does not end the claim of the one who came after it', async () => {
    const userId = await addUser(postgres, sim, listener)
    const zombie = await claimRefresh(postgres, userId, 1)
    const next = await until(() => claimRefresh(postgres, userId, 60_000), 'the first claim has run out')
    if (!zombie) throw new Error('no claim')
    await releaseRefresh(postgres, userId, zombie)
    expect(await claimRefresh(postgres, userId, 60_000)).toBeNull()
    await releaseRefresh(postgres, userId, next)
    expect(await claimRefresh(postgres, userId, 60_000)).not.toBeNull()
  })
})

test('connecting again replaces a dead token, keeps the id and the digest, and makes the user due', async () => {
  const userId = await addUser(postgres, sim, listener)
  await postgres.query(
    `update poll_state set page_digest = 'digest', failures = 7, lease_id = gen_random_uuid(), next_poll_at = 'infinity'
     where user_id = $1`,
    [userId],
  )
  await postgres.query(
    `update users set status = 'needs_reauth', authorized_at = '2026-01-01' where id = $1`,
    [userId],
  )
  expect(await addUser(postgres, sim, listener, { displayName: null })).toBe(userId)
  const { rows } = await postgres.query(
    `select status, display_name, authorized_at > now() - interval '1 minute' as is_recent, page_digest, failures,
       lease_id, next_poll_at <= now() as is_due
     from users join poll_state on id = user_id where id = $1`,
    [userId],
  )
  expect(rows).toEqual([
    {
      status: 'active',
      display_name: null,
      is_recent: true,
      page_digest: 'digest',
      failures: 0,
      lease_id: null,
      is_due: true,
    },
  ])
})

describe('a user who connects', () => {
  const connect = async (who: { spotifyId: string; accountId?: string }) => {
    const sealed = await testCrypto.seal('token')
    return postgres.transaction((sql) =>
      connectUser(sql, {
        ...{ ...who, displayName: null, refreshSealed: sealed, accessSealed: sealed },
        ...{ expiresInMs: 1_000, scope: null, clientId: 'the-app' },
      }),
    )
  }
  const idsOf = async (id: number) => {
    const { rows } = await postgres.query(
      'select spotify_id, account_id, client_id from users join spotify_tokens on user_id = id where id = $1',
      [id],
    )
    return rows[0]
  }

  test('is known by the account id, whatever Spotify calls them now; the old id is kept', async () => {
    const id = await connect({ spotifyId: 'old-name' })
    expect(await connect({ spotifyId: 'old-name', accountId: 'account-1' })).toBe(id)
    expect(await connect({ spotifyId: 'new-name', accountId: 'account-1' })).toBe(id)
    expect(await idsOf(id)).toEqual({
      ...{ spotify_id: 'old-name', account_id: 'account-1', client_id: 'the-app' },
    })
  })

  test('under an id that another account holds is somebody else', async () => {
    const first = await connect({ spotifyId: 'reused', accountId: 'account-2' })
    const second = await connect({ spotifyId: 'reused', accountId: 'account-3' })
    expect(second).not.toBe(first)
    expect(await connect({ spotifyId: 'reused', accountId: 'account-3' })).toBe(second)
    expect(await connect({ spotifyId: 'reused', accountId: 'account-2' })).toBe(first)
  })
})

test('two connections of one user at once end as one user', async () => {
  const sealed = await testCrypto.seal('token')
  const connect = () =>
    postgres.transaction((sql) =>
      connectUser(sql, {
        ...{ spotifyId: 'twice', displayName: 'Twice', refreshSealed: sealed, accessSealed: sealed },
        expiresInMs: 1_000,
        scope: null,
      }),
    )
  const ids = await Promise.all([connect(), connect(), connect()])
  expect(new Set(ids).size).toBe(1)
})

test('the listeners of a demo become users whose tokens can be renewed; those of an earlier run stay as they are', async () => {
  const demo = await startSpotifySimulator({ listeners: 3 })
  onTestFinished(() => demo.stop())
  const env = { ...database.env, ...spotifyTestEnv(demo) }
  await postgres.query('truncate users cascade')
  const paused = await addUser(postgres, demo, 1)
  await postgres.query(`update users set status = 'paused' where id = $1`, [paused])
  const usersSql = `select id, spotify_id, status, refresh_token from users join spotify_tokens on user_id = id
    join poll_state using (user_id) order by spotify_id`
  expect(await addSimulatedUsers(demo.url, env)).toBe(3)
  const { rows } = await postgres.query(usersSql)
  expect(rows).toMatchObject([{ status: 'active' }, { id: paused, status: 'paused' }, { status: 'active' }])
  expect(await readTokens(postgres, rows[0].id)).toMatchObject({ accessSealed: null })
  const own = openGateway({ sql: postgres, config: spotifyTestConfig(demo), connections: 1 })
  onTestFinished(() => own.close())
  expect(await refresherOf(own).refresh(rows[0].id)).toMatchObject({ type: 'fresh' })
  const before = await postgres.query(usersSql)
  await addSimulatedUsers(demo.url, env)
  expect((await postgres.query(usersSql)).rows).toEqual(before.rows)
})
