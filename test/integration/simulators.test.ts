import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { type DiscordSimulator, startDiscordSimulator } from '../../simulators/discord/simulator.ts'
import type { FaultName } from '../../simulators/spotify/faults.ts'
import type { SpotifySimulatorOptions } from '../../simulators/spotify/options.ts'
import { type SpotifySimulator, startSpotifySimulator } from '../../simulators/spotify/simulator.ts'

const pageShape = z.object({
  items: z.array(
    z.object({
      track: z
        .object({
          id: z.string().nullable(),
          uri: z.string(),
          name: z.string(),
          artists: z.array(z.object({ id: z.string().nullable() })),
        })
        .nullable(),
      played_at: z.string().optional(),
      context: z.object({ uri: z.string() }).nullable(),
    }),
  ),
  next: z.string().nullable(),
  cursors: z.object({ after: z.string(), before: z.string() }).nullable(),
})
const tokenShape = z.object({
  access_token: z.string(),
  refresh_token: z.string().optional(),
  expires_in: z.number(),
})
const recent = '/v1/me/player/recently-played?limit=50'

const running: { stop(): Promise<void> }[] = []
afterEach(async () => {
  for (const sim of running.splice(0)) await sim.stop()
})

async function spotify(options: Partial<SpotifySimulatorOptions> = {}): Promise<SpotifySimulator> {
  const sim = await startSpotifySimulator({ speed: 60, ...options })
  running.push(sim)
  return sim
}

async function discord(options: Parameters<typeof startDiscordSimulator>[0] = {}): Promise<DiscordSimulator> {
  const sim = await startDiscordSimulator(options)
  running.push(sim)
  return sim
}

function postForm(sim: SpotifySimulator, form: Record<string, string>, headers: Record<string, string> = {}) {
  return fetch(`${sim.url}/api/token`, { method: 'POST', headers, body: new URLSearchParams(form) })
}

function refresh(sim: SpotifySimulator, refreshToken: string, client_id = 'app') {
  return postForm(sim, { grant_type: 'refresh_token', refresh_token: refreshToken, client_id })
}

async function userToken(sim: SpotifySimulator, listener = 0): Promise<string> {
  const answer = await refresh(sim, sim.refreshToken(listener))
  return tokenShape.parse(await answer.json()).access_token
}

async function appToken(sim: SpotifySimulator): Promise<string> {
  const headers = { authorization: `Basic ${btoa('app:secret')}` }
  const answer = await postForm(sim, { grant_type: 'client_credentials' }, headers)
  return tokenShape.parse(await answer.json()).access_token
}

function get(sim: SpotifySimulator, path: string, token: string, signal: AbortSignal | null = null) {
  return fetch(path.startsWith('http') ? path : sim.url + path, {
    headers: { authorization: `Bearer ${token}` },
    signal,
  })
}

async function page(sim: SpotifySimulator, token: string, path = recent) {
  return pageShape.parse(await (await get(sim, path, token)).json())
}

test('a delivered page is remembered play by play and byte for byte', async () => {
  const sim = await spotify({ keepPages: 10 })
  const token = await userToken(sim, 3)
  const body = Buffer.from(await (await get(sim, recent, token)).arrayBuffer())
  const { items } = pageShape.parse(JSON.parse(body.toString()))
  expect(items).toHaveLength(50)
  const key = ({ playedAt, trackId }: { playedAt?: string | null; trackId?: string | null }) =>
    `${playedAt} ${trackId}`
  expect(sim.truth.delivered(3).map(key)).toEqual(
    items.map(({ played_at = null, track }) => key({ playedAt: played_at, trackId: track?.id ?? null })),
  )
  const sha256 = createHash('sha256').update(body).digest('hex')
  expect(sim.truth.pages()).toMatchObject([{ listener: 3, items: 50, sha256 }])
  expect(sim.truth.pages()[0]?.body.equals(body)).toBe(true)
  const lines = (await (await fetch(`${sim.url}/_sim/truth?user=listener-3`)).text()).trim().split('\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual(sim.truth.delivered(3))
})

test('a play delivered twice is one play, counted twice; two restarts of a seed answer alike', async () => {
  const options = { startAt: Date.UTC(2026, 10, 24, 12), clock: 'stopped', truth: 'count' } as const
  const [one, other] = [await spotify(options), await spotify(options)]
  const read = async (sim: SpotifySimulator) => (await page(sim, await userToken(sim, 4))).items
  expect(await read(one)).toEqual(await read(other))
  await read(one)
  expect(one.stats().delivered).toEqual({ pages: 2, items: 100, plays: 50 })
})

test.each(['truncated_json', 'reset', 'cut_off', 'hang', 'bad_gateway', 'expired_token'] as const)(
  '%s delivers nothing',
  async (fault) => {
    const sim = await spotify({ hangMs: 300 })
    const token = await userToken(sim)
    sim.scriptFault({ fault, endpoint: 'recently-played' })
    const answer = await get(sim, recent, token)
      .then((response) => response.json())
      .catch((error: unknown) => error)
    expect(pageShape.safeParse(answer).success).toBe(false)
    expect(sim.truth.counts()).toEqual({ pages: 0, items: 0, plays: 0 })
    expect(sim.stats().faults).toEqual({ [fault]: 1 })
    expect((await page(sim, token)).items).toHaveLength(50)
    expect(sim.truth.counts()).toEqual({ pages: 1, items: 50, plays: 50 })
  },
)

test('a slow body counts once it is complete, and never for a client that left', async () => {
  const sim = await spotify({ slowBodyMs: 400, mode: 'extended' })
  const token = await userToken(sim)
  sim.scriptFault({ fault: 'slow_body', endpoint: 'recently-played', count: 2 })
  const left = get(sim, recent, token, AbortSignal.timeout(150)).then((response) => response.text())
  await expect(left).rejects.toThrow()
  expect(sim.truth.counts().pages).toBe(0)
  expect((await page(sim, token)).items).toHaveLength(50)
  await expect.poll(() => sim.truth.counts().pages).toBe(1)
})

test('every fault answers over HTTP with the status and body that were seen', async () => {
  const sim = await spotify()
  const token = await userToken(sim)
  const seen = async (fault: FaultName) => {
    sim.scriptFault({ fault })
    const response = await get(sim, recent, token)
    expect(response.headers.has('content-length')).toBe(true)
    return [response.status, await response.text(), response.headers.get('retry-after')]
  }
  expect(await seen('forbidden_gated')).toEqual([403, '{"error":{"status":403,"message":"Forbidden"}}', null])
  expect(await seen('forbidden_unlisted_user')).toEqual([
    403,
    'User not registered in the Developer Dashboard',
    null,
  ])
  expect(await seen('rate_limited_zero')).toEqual([429, 'Too many requests', '0'])
  expect(await seen('rate_limited_bare')).toEqual([429, '', null])
  expect((await seen('quota_exceeded')).slice(1)).toEqual([
    '{"error":{"status":429,"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}',
    '49861',
  ])
  expect((await seen('bad_gateway_html')).slice(0, 2)).toEqual([502, expect.stringContaining('<html>')])
  expect((await seen('upstream_text')).slice(0, 2)).toEqual([
    503,
    expect.stringMatching(/^upstream connect error/),
  ])
  expect((await seen('not_found'))[0]).toBe(404)
  sim.scriptFault({ fault: 'expired_token' })
  const response = await get(sim, recent, token)
  expect(response.headers.get('www-authenticate')).toContain('error_description="The access token expired"')
})

test('cursors slice the last 50 plays and following next ends with an empty page', async () => {
  const sim = await spotify({ startAt: Date.UTC(2026, 10, 24, 12), clock: 'stopped' })
  const token = await userToken(sim)
  const all = (await page(sim, token)).items
  const walked = []
  let next: string | null = '/v1/me/player/recently-played?limit=20'
  while (next !== null) {
    const part: z.infer<typeof pageShape> = await page(sim, token, next)
    walked.push(...part.items)
    next = part.next
  }
  expect(walked).toEqual(all)
  const forward = await page(sim, token, `${recent}&after=${Date.parse(all[5]?.played_at ?? '')}`)
  expect(forward.items).toEqual(all.slice(0, 5))
  expect(forward.next).toContain(`after=${forward.cursors?.after}`)
  expect(await page(sim, token, forward.next ?? '')).toMatchObject({ items: [], next: null, cursors: null })
  expect((await get(sim, '/v1/me/player/recently-played?limit=51', token)).status).toBe(400)
})

test('Development Mode refuses batches and features, and looks up single entities', async () => {
  const sim = await spotify({ plays: 'none' })
  sim.givePlay(0, {})
  const track = (await page(sim, await userToken(sim))).items[0]?.track
  const token = await appToken(sim)
  const read = async (path: string) => {
    const response = await get(sim, path, token)
    return [response.status, await response.text()]
  }
  expect(await read(`/v1/tracks?ids=${track?.id}`)).toEqual([
    403,
    '{"error":{"status":403,"message":"Forbidden"}}',
  ])
  expect(await read(`/v1/audio-features/${track?.id}`)).toEqual([403, '{"error":{"status":403}}'])
  expect(await read(`/v1/tracks/${track?.id}`)).toEqual([
    200,
    JSON.stringify(await raw(sim, `/v1/tracks/${track?.id}`)),
  ])
  expect((await read(`/v1/artists/${track?.artists[0]?.id}`))[0]).toBe(200)
  expect(await read('/v1/artists/0000000000000000000000')).toEqual([
    404,
    '{"error":{"status":404,"message":"Resource not found"}}',
  ])
  expect((await read('/v1/artists/short'))[0]).toBe(400)
  expect((await read(recent))[0]).toBe(401)
})

test('Extended Mode answers batches in order with null for unknown ids; ReccoBeats leaves them out', async () => {
  const sim = await spotify({ mode: 'extended', reccobeatsCoverage: 1 })
  const unknown = '0000000000000000000000'
  const { items } = await page(sim, await userToken(sim))
  const [a, b] = items.map(({ track }) => track?.id)
  const artist = items[0]?.track?.artists[0]?.id
  const list = z.record(z.string(), z.array(z.object({ id: z.string() }).nullable()))
  const ids = async (path: string) =>
    Object.values(list.parse(await raw(sim, path)))[0]?.map((one) => one?.id ?? null)
  expect(await ids(`/v1/tracks?ids=${b},${unknown},${a}`)).toEqual([b, null, a])
  expect(await ids(`/v1/audio-features?ids=${b},${unknown},${a}`)).toEqual([b, null, a])
  expect(await ids(`/v1/artists?ids=${unknown},${artist}`)).toEqual([null, artist])
  const recco = z.object({ content: z.array(z.object({ href: z.string() }).loose()) })
  const answer = await fetch(`${sim.env.RECCOBEATS_URL}/v1/audio-features?ids=${a},${unknown}&ids=${b}`)
  const { content } = recco.parse(await answer.json())
  expect(content.map(({ href }) => href.split('/').at(-1)).sort()).toEqual([a, b].sort())
  expect(content[0]).not.toHaveProperty('time_signature')
})

async function raw(sim: SpotifySimulator, path: string): Promise<unknown> {
  return (await get(sim, path, await appToken(sim))).json()
}

test('the code flow checks state, PKCE, redirect URI and client, and gives each code once', async () => {
  const client = { id: 'app', secret: 'secret', redirectUris: ['http://127.0.0.1/callback'] }
  const sim = await spotify({ client })
  const redirect_uri = 'http://127.0.0.1:4567/callback'
  const verifier = 'v'.repeat(64)
  const challenge = createHash('sha256').update(verifier).digest('base64url')
  const ask = (extra: Record<string, string> = {}) => {
    const query = new URLSearchParams({
      client_id: 'app',
      response_type: 'code',
      redirect_uri,
      state: 'a state',
      scope: 'user-read-recently-played',
      code_challenge: challenge,
      code_challenge_method: 'S256',
      ...extra,
    })
    return fetch(`${sim.url}/authorize?${query}`, { redirect: 'manual' })
  }
  expect(await (await ask()).text()).toContain('Agree as')
  expect(await (await ask({ redirect_uri: 'http://localhost:1/callback' })).text()).toContain(
    'Insecure redirect URI',
  )
  expect((await ask({ client_id: 'other' })).status).toBe(400)
  const denied = new URL((await ask({ decision: 'cancel' })).headers.get('location') ?? '')
  expect(Object.fromEntries(denied.searchParams)).toEqual({ error: 'access_denied', state: 'a state' })

  const consent = async () => {
    const target = new URL((await ask({ listener: '7' })).headers.get('location') ?? '')
    expect(target.origin + target.pathname).toBe(redirect_uri)
    expect(target.searchParams.get('state')).toBe('a state')
    return target.searchParams.get('code') ?? ''
  }
  const exchange = (code: string, extra: Record<string, string> = {}) =>
    postForm(sim, {
      grant_type: 'authorization_code',
      code,
      redirect_uri,
      client_id: 'app',
      code_verifier: verifier,
      ...extra,
    })
  expect((await exchange(await consent(), { code_verifier: 'wrong' })).status).toBe(400)
  expect((await exchange(await consent(), { redirect_uri: 'http://127.0.0.1:1/callback' })).status).toBe(400)
  expect((await exchange(await consent(), { client_id: 'other' })).status).toBe(400)
  expect((await exchange(await consent(), { client_secret: 'wrong' })).status).toBe(400)
  const code = await consent()
  const tokens = tokenShape.parse(await (await exchange(code)).json())
  expect(await (await get(sim, '/v1/me', tokens.access_token)).json()).toMatchObject({ id: 'listener-7' })
  expect((await page(sim, tokens.access_token)).items).toHaveLength(50)
  expect(await (await exchange(code)).json()).toMatchObject({ error: 'invalid_grant' })
  expect((await refresh(sim, tokens.refresh_token ?? '')).status).toBe(200)
  expect(await (await refresh(sim, tokens.refresh_token ?? '', 'other')).json()).toMatchObject({
    error: 'invalid_client',
  })
})

test('rotation kills the old refresh token once the answer is out, and not before', async () => {
  const sim = await spotify({ refreshTokenRotation: 'always' })
  const old = sim.refreshToken(0)
  sim.scriptFault({ fault: 'cut_off', endpoint: 'token' })
  await expect(refresh(sim, old).then((response) => response.text())).rejects.toThrow()
  const next = tokenShape.parse(await (await refresh(sim, old)).json()).refresh_token ?? ''
  expect(await (await refresh(sim, old)).json()).toEqual({
    error: 'invalid_grant',
    error_description: 'Invalid refresh token',
  })
  expect((await refresh(sim, next)).status).toBe(200)
})

test('without rotation no refresh token is sent back', async () => {
  const sim = await spotify()
  expect(await (await refresh(sim, sim.refreshToken(0))).json()).not.toHaveProperty('refresh_token')
})

test('a revoked consent is dead until the listener consents anew; a false invalid_grant passes', async () => {
  const sim = await spotify()
  const token = sim.refreshToken(1)
  sim.changeListener(1, { refreshToken: 'revoked' })
  expect(await (await refresh(sim, token)).json()).toMatchObject({
    error_description: 'Refresh token revoked',
  })
  expect((await refresh(sim, sim.refreshToken(1))).status).toBe(200)
  expect((await refresh(sim, token)).status).toBe(400)
  const other = sim.refreshToken(2)
  sim.scriptFault({ fault: 'false_invalid_grant' })
  expect((await refresh(sim, other)).status).toBe(400)
  expect((await refresh(sim, other)).status).toBe(200)
})

test('refresh tokens die six months after the consent, access tokens after an hour', async () => {
  const sim = await spotify({ clock: 'stopped', startAt: Date.UTC(2026, 1, 1) })
  const refreshToken = sim.refreshToken(0)
  const token = await userToken(sim)
  sim.advance(3_599_999)
  expect((await get(sim, '/v1/me', token)).status).toBe(200)
  sim.advance(1)
  const response = await get(sim, '/v1/me', token)
  expect([response.status, await response.json()]).toEqual([
    401,
    { error: { status: 401, message: 'The access token expired' } },
  ])
  sim.advance(15_552_000_000)
  expect(await (await refresh(sim, refreshToken)).json()).toMatchObject({
    error_description: 'Refresh token expired',
  })
})

test('an unlisted user, a missing scope and no token are refused each in its way', async () => {
  const sim = await spotify()
  const token = await userToken(sim)
  sim.changeListener(0, { listed: false, displayName: null })
  const refused = await get(sim, recent, token)
  expect([refused.status, await refused.text()]).toEqual([
    403,
    'User not registered in the Developer Dashboard',
  ])
  sim.changeListener(0, { listed: true })
  expect(await (await get(sim, '/v1/me', token)).json()).toMatchObject({
    display_name: null,
    id: 'listener-0',
  })
  sim.changeListener(0, { expireAccessTokens: true })
  await expect.poll(async () => (await get(sim, recent, token)).status).toBe(401)
  expect((await fetch(sim.url + recent)).status).toBe(401)
  expect(await (await get(sim, recent, 'nonsense')).json()).toMatchObject({
    error: { message: 'Invalid access token' },
  })
})

test('the daily quota belongs to the client id, whatever the token', async () => {
  const sim = await spotify({ dailyRequests: 3 })
  const [user, app] = [await userToken(sim), await appToken(sim)]
  for (const token of [user, app, user]) expect((await get(sim, '/v1/artists/short', token)).status).toBe(400)
  const refused = await get(sim, recent, user)
  expect(refused.status).toBe(429)
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(86_000)
  expect(await refused.json()).toMatchObject({ error: { reason: 'QUOTA_EXCEEDED' } })
  expect((await get(sim, '/v1/artists/short', app)).status).toBe(429)
})

test('given plays appear as they were asked for, in every oddity', async () => {
  const sim = await spotify({ plays: 'none', mode: 'extended', clock: 'stopped' })
  const token = await userToken(sim)
  expect((await page(sim, token)).items).toEqual([])
  const newest = async (oddity: Parameters<SpotifySimulator['givePlay']>[1]) => {
    sim.givePlay(0, oddity)
    sim.advance(2)
    const { items } = await page(sim, token)
    return items
  }
  expect((await newest({ oddity: 'null_track' }))[0]?.track).toBeNull()
  expect((await newest({ oddity: 'local_file' }))[0]?.track).toMatchObject({
    id: null,
    uri: expect.stringMatching(/^spotify:local:/),
  })
  const twins = await newest({ oddity: 'same_millisecond' })
  expect(twins[0]?.played_at).toBe(twins[1]?.played_at)
  expect(twins[0]?.track?.id).not.toBe(twins[1]?.track?.id)
  const repeated = await newest({ oddity: 'repeated_track' })
  expect(repeated[0]?.track?.id).toBe(repeated[1]?.track?.id)
  expect((await newest({ oddity: 'null_context' }))[0]?.context).toBeNull()
  expect((await newest({ oddity: 'missing_played_at' }))[0]).not.toHaveProperty('played_at')
  const [future] = await newest({ oddity: 'future_played_at' })
  expect(Date.parse(future?.played_at ?? '')).toBeGreaterThan(Date.now() + 80_000_000)
  expect((await newest({ oddity: 'nul_in_name' }))[0]?.track?.name).toContain('\u0000')
  const surrogate = (await newest({ oddity: 'lone_surrogate_in_name' }))[0]?.track?.name ?? ''
  expect(surrogate.isWellFormed()).toBe(false)
  expect([...((await newest({ oddity: 'long_name' }))[0]?.track?.name ?? '')]).toHaveLength(400)
  const odd = (await newest({ oddity: 'missing_external_ids' }))[0]?.track
  expect(await raw(sim, `/v1/tracks/${odd?.id}`)).not.toHaveProperty('external_ids')
  expect(sim.truth.delivered(0).filter(({ oddity }) => oddity !== null).length).toBeGreaterThan(9)
})

test('a given item is shown as it is, and a given late play at its time below newer ones', async () => {
  const sim = await spotify({ plays: 'none', clock: 'stopped', startAt: Date.UTC(2026, 10, 20) })
  const token = await userToken(sim)
  sim.givePlay(0, {
    item: { track: { id: 'x', uri: 'u', name: 'n', artists: [] }, played_at: 'nonsense', context: null },
  })
  expect((await page(sim, token)).items[0]).toMatchObject({ played_at: 'nonsense' })
  expect(sim.truth.delivered(0)).toMatchObject([{ playedAt: 'nonsense', trackId: 'x', oddity: 'given' }])
  sim.givePlay(0, { playedAt: sim.now() - 7_200_000, availableAt: sim.now() + 1_000 })
  expect((await page(sim, token)).items).toHaveLength(1)
  sim.advance(1_000)
  const { items } = await page(sim, token)
  expect(items).toHaveLength(2)
  expect(items[1]?.played_at).toBe('2026-11-19T22:00:00.000Z')
  expect([...sim.happened(0, 0)]).toHaveLength(2)
})

test('a listener who stops listening has no plays until they start again', async () => {
  const sim = await spotify({ clock: 'stopped', startAt: Date.UTC(2026, 10, 20), speed: 1_000 })
  const token = await userToken(sim, 3)
  sim.changeListener(3, { listening: false })
  const before = await page(sim, token)
  sim.advance(600_000)
  expect((await page(sim, token)).items).toEqual(before.items)
  expect([...sim.happened(3)]).toEqual([])
  sim.changeListener(3, { listening: true })
  sim.advance(600_000)
  expect((await page(sim, token)).items).not.toEqual(before.items)
})

test('the control API does over HTTP what the methods do', async () => {
  const sim = await spotify({ plays: 'none', mode: 'extended' })
  const control = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${sim.url}/_sim/${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    return { status: response.status, body: await response.json() }
  }
  const listeners = z.object({
    listeners: z.array(z.object({ refreshToken: z.string(), spotifyId: z.string() })),
  })
  const { listeners: first } = listeners.parse(
    await (await fetch(`${sim.url}/_sim/listeners?limit=2`)).json(),
  )
  expect(first.map(({ spotifyId }) => spotifyId)).toEqual(['listener-0', 'listener-1'])
  const answer = await refresh(sim, first[1]?.refreshToken ?? '')
  const token = tokenShape.parse(await answer.json()).access_token
  expect(await control('listeners/1/plays', { oddity: 'null_track' })).toMatchObject({
    body: { items: [{ track: null }] },
  })
  expect((await page(sim, token)).items).toHaveLength(1)
  await control('faults', {
    script: [{ fault: 'gateway_timeout' }, { answer: { status: 418, body: 'tea' } }],
  })
  expect((await get(sim, recent, token)).status).toBe(504)
  expect((await get(sim, recent, token)).status).toBe(418)
  await control('faults', { shares: { server_error: 1 } })
  expect((await get(sim, recent, token)).status).toBe(500)
  await control('faults', { clear: true })
  await control('listeners/listener-1', { listed: false })
  expect((await get(sim, recent, token)).status).toBe(403)
  expect((await control('listeners/999', { listed: false })).status).toBe(404)
  expect((await control('faults', { script: [{ fault: 'flood' }] })).status).toBe(400)
  expect(await control('advance', { ms: 5_000 })).toMatchObject({ status: 200 })
  const stats = await (await fetch(`${sim.url}/_sim/stats`)).json()
  expect(stats).toMatchObject({
    delivered: { pages: 1, items: 1, plays: 1 },
    answers: { 'recently-played 418': 1 },
  })
})

test('whatever a client has read is counted by then, even when it closes the connection at once', async () => {
  const sim = await spotify({ mode: 'extended', slowBodyMs: 10, faults: { huge_page: 0.3, slow_body: 0.1 } })
  const token = await userToken(sim)
  const read = async () => {
    const headers = { authorization: `Bearer ${token}`, connection: 'close' }
    await (await fetch(sim.url + recent, { headers })).arrayBuffer()
  }
  for (let round = 1; round <= 20; round += 1) {
    await Promise.all(Array.from({ length: 8 }, read))
    expect(sim.truth.counts().pages).toBe(round * 8)
  }
})

test('a simulator stops at once, whoever still hangs on it', async () => {
  const sim = await startSpotifySimulator({ hangMs: 60_000 })
  const token = await userToken(sim)
  sim.scriptFault({ fault: 'hang' })
  const hanging = get(sim, recent, token).catch(() => 'severed')
  await expect.poll(() => sim.stats().faults).toEqual({ hang: 1 })
  const started = performance.now()
  await sim.stop()
  expect(performance.now() - started).toBeLessThan(1_000)
  expect(await hanging).toBe('severed')
})

test('shares of every transient fault leave the truth exact', async () => {
  const faults = {
    reset: 0.1,
    cut_off: 0.1,
    truncated_json: 0.1,
    bad_gateway: 0.1,
    expired_token: 0.1,
    slow_body: 0.05,
  }
  const clock = { clock: 'stopped', startAt: Date.UTC(2026, 10, 24, 12) } as const
  const sim = await spotify({ faults, slowBodyMs: 50, speed: 1_000, ...clock })
  const token = await eventually(() => userToken(sim, 3))
  const got = new Set<string>()
  for (let poll = 0; poll < 60; poll += 1) {
    const { items } = await page(sim, token).catch(() => ({ items: [] }))
    for (const { played_at, track } of items) got.add(`${played_at} ${track?.id}`)
    sim.advance(2_000)
  }
  const truth = sim.truth.delivered(3).map(({ playedAt, trackId }) => `${playedAt} ${trackId}`)
  expect(got.size).toBeGreaterThan(50)
  expect(new Set(truth)).toEqual(got)
})

async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch {
      // The next attempt may meet no fault.
    }
  }
}

const post = (sim: DiscordSimulator, body: unknown, query = '?wait=true') =>
  fetch(sim.webhookUrl + query, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

test('Discord keeps what fits its limits and refuses the rest with the violation', async () => {
  const sim = await discord()
  expect(
    await (await post(sim, { content: ' hello ', embeds: [{ title: 't', color: 255 }] })).json(),
  ).toMatchObject({
    content: 'hello',
    embeds: [{ title: 't', color: 255 }],
  })
  const refused = await post(sim, { content: 'x'.repeat(2_001) })
  expect([refused.status, await refused.json()]).toMatchObject([
    400,
    { code: 50035, errors: { content: {} } },
  ])
  expect(await (await post(sim, {})).json()).toMatchObject({ code: 50006 })
  expect(await (await post(sim, '{"content":')).json()).toMatchObject({ code: 50109 })
  const silent = await post(sim, { content: 'no wait' }, '')
  expect([silent.status, await silent.text()]).toEqual([204, ''])
  expect(sim.messages.map(({ content }) => content)).toEqual(['hello', 'no wait'])
  expect(sim.answers).toEqual({ 'POST 200': 1, 'POST 400': 2, 'POST 204': 1 })
  expect(await (await fetch(`${sim.url}/_sim/messages`)).json()).toEqual({ messages: sim.messages })
})

test('the webhook bucket shows itself in headers; the channel limit only when it is exceeded', async () => {
  const sim = await discord({ bucket: { limit: 2, lengthMs: 400 }, channel: { limit: 3, lengthMs: 60_000 } })
  const say = () => post(sim, { content: 'x' })
  expect((await say()).headers.get('x-ratelimit-remaining')).toBe('1')
  expect((await say()).headers.get('x-ratelimit-remaining')).toBe('0')
  const limited = await say()
  expect([
    limited.status,
    limited.headers.get('retry-after'),
    limited.headers.get('x-ratelimit-scope'),
  ]).toEqual([429, '1', 'user'])
  const wait = z
    .object({ retry_after: z.number(), global: z.literal(false) })
    .parse(await limited.json()).retry_after
  expect(wait).toBeLessThanOrEqual(0.4)
  await delay(wait * 1_000 + 5)
  expect((await say()).status).toBe(200)
  const shared = await say()
  expect([shared.status, shared.headers.get('x-ratelimit-scope')]).toEqual([429, 'shared'])
  expect(Number(shared.headers.get('retry-after'))).toBeGreaterThan(50)
  expect(sim.messages).toHaveLength(3)
})

test('a deleted webhook, a wrong token and the proxy answer as Discord does', async () => {
  const sim = await discord()
  expect(await (await fetch(sim.webhookUrl)).json()).toMatchObject({ type: 1, name: 'songswap-stream' })
  const wrong = await fetch(`${sim.webhookUrl}x`)
  expect([wrong.status, await wrong.json()]).toEqual([401, { message: 'Invalid Webhook Token', code: 50027 }])
  sim.scriptFault({ fault: 'rate_limited_html', retryAfterSeconds: 3 })
  const blocked = await post(sim, { content: 'x' })
  expect([blocked.status, blocked.headers.get('retry-after'), await blocked.text()]).toEqual([
    429,
    '3',
    expect.stringContaining('<h1>'),
  ])
  sim.scriptFault({ fault: 'reset' })
  await expect(post(sim, { content: 'posted all the same' })).rejects.toThrow()
  expect(sim.messages).toHaveLength(1)
  sim.deleteWebhook()
  const gone = await post(sim, { content: 'x' })
  expect([gone.status, await gone.json()]).toEqual([404, { message: 'Unknown Webhook', code: 10015 }])
})

test('a forum takes messages in its threads alone, a text channel in none', async () => {
  const sim = await discord({ bucket: { limit: 50, lengthMs: 1_000 } })
  const say = async (body: object, query?: string) => {
    const answer = await post(sim, { content: 'x', ...body }, query)
    return (await answer.json()) as { code?: number; channel_id?: string }
  }
  expect(await say({ thread_name: 't' })).toMatchObject({ code: 220_003 })
  sim.become('forum')
  expect(await say({})).toMatchObject({ code: 220_001 })
  const { channel_id: thread = '' } = await say({ thread_name: 't' })
  expect(sim.threads.get(thread)).toBe('t')
  expect(await say({}, `?wait=true&thread_id=${thread}`)).toMatchObject({ channel_id: thread })
  expect(await say({ thread_name: 'u' }, `?wait=true&thread_id=${thread}`)).toMatchObject({ code: 220_002 })
  sim.deleteThreads()
  expect(await say({}, `?wait=true&thread_id=${thread}`)).toMatchObject({ code: 10_003 })
  expect(sim.messages).toHaveLength(2)
})

test('the channel page shows embeds and lets no markup through', async () => {
  const sim = await discord()
  await post(sim, {
    content: '<script>alert(1)</script> **bold**',
    embeds: [
      {
        title: 'one',
        url: 'https://a.example/',
        color: 0xff8800,
        fields: [{ name: 'lag', value: '`12`', inline: true }],
      },
      { title: 'hidden', url: 'https://a.example/' },
    ],
  })
  const html = await (await fetch(sim.url)).text()
  expect(html).toContain('border-color:#ff8800')
  expect(html).toContain('<b>bold</b>')
  expect(html).toContain('<code>12</code>')
  expect(html).not.toContain('<script>')
  expect(html).not.toContain('hidden')
})
