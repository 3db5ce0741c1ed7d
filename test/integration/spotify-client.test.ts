import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Asked, Gateway } from '../../lib/spotify/gateway.ts'
import { openGateway } from '../../lib/spotify/gateway.ts'
import type { Answer } from '../../lib/spotify/http-answer.ts'
import type { OutcomeType } from '../../lib/spotify/outcome.ts'
import { openAppToken, refreshTokens } from '../../lib/spotify/tokens.ts'
import type { FaultName } from '../../simulators/spotify/faults.ts'
import { faultNames } from '../../simulators/spotify/faults.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { spotifyTestConfig } from '../support/spotify.ts'

let sim: SpotifySimulator
let client: Gateway
let accessToken: string

beforeAll(async () => {
  sim = await startSpotifySimulator({ listeners: 3, keepPages: 5, hangMs: 5_000, slowBodyMs: 300 })
  client = openGateway({ sql: null, config: spotifyTestConfig(sim), connections: 4 })
  const answer = await refreshTokens(client, sim.refreshToken(0))
  if (answer.type !== 'tokens') throw new Error(answer.type)
  accessToken = answer.tokens.accessToken
})
afterAll(async () => {
  await client.close()
  await sim.stop()
})
beforeEach(() => sim.clearFaults())

function answerIn(asked: Asked): Answer {
  if (asked.type !== 'answered') throw new Error(asked.refusal.reason)
  return asked.answer
}

const getPage = async (token = accessToken) =>
  answerIn(
    await client.get({
      kind: 'recently-played',
      lane: 'polling',
      path: '/me/player/recently-played',
      query: { limit: 50 },
      accessToken: token,
    }),
  )

const expected: Record<FaultName, OutcomeType> = {
  expired_token: 'unauthorized',
  invalid_token: 'unauthorized',
  forbidden_gated: 'gated',
  forbidden_scope: 'missing_scope',
  forbidden_unlisted_user: 'user_not_listed',
  forbidden_premium: 'premium_lapsed',
  rate_limited: 'rate_limited',
  rate_limited_zero: 'rate_limited',
  rate_limited_bare: 'rate_limited',
  quota_exceeded: 'quota_exceeded',
  not_found: 'feed_missing',
  server_error: 'server_error',
  bad_gateway: 'server_error',
  bad_gateway_html: 'server_error',
  service_unavailable: 'server_error',
  upstream_text: 'server_error',
  gateway_timeout: 'server_error',
  truncated_json: 'truncated_json',
  slow_body: 'ok',
  cut_off: 'unreachable',
  reset: 'unreachable',
  hang: 'timeout',
  false_invalid_grant: 'bad_request',
  reccobeats_limited: 'rate_limited',
  huge_page: 'ok',
  empty_page: 'ok',
}

describe('every fault of the simulator, over HTTP, has its name', () => {
  test.each(faultNames)('%s of a page', async (fault) => {
    sim.scriptFault({ fault, endpoint: 'recently-played' })
    const answer = await getPage()
    expect(answer.outcome.type).toBe(expected[fault])
    expect((await getPage()).outcome.type).toBe('ok')
  })

  test.each<[FaultName, OutcomeType]>([
    ['false_invalid_grant', 'invalid_grant'],
    ['server_error', 'server_error'],
    ['bad_gateway_html', 'server_error'],
    ['upstream_text', 'server_error'],
    ['truncated_json', 'truncated_json'],
    ['reset', 'unreachable'],
    ['cut_off', 'unreachable'],
    ['hang', 'timeout'],
    ['rate_limited', 'rate_limited'],
  ])('%s of the token endpoint', async (fault, type) => {
    sim.scriptFault({ fault, endpoint: 'token' })
    const answer = await refreshTokens(client, sim.refreshToken(0))
    expect(answer.type === 'refused' && answer.outcome.type).toBe(type)
  })
})

test('the body is the one that was sent, byte for byte, be it two megabytes', async () => {
  sim.scriptFault({ fault: 'huge_page', endpoint: 'recently-played' })
  for (const atLeast of [2_000_000, 1_000]) {
    const { body, status } = await getPage()
    expect(status).toBe(200)
    expect(body.length).toBeGreaterThan(atLeast)
    expect(body.equals(sim.truth.pages().at(-1)?.body ?? Buffer.alloc(0))).toBe(true)
  }
})

test('a body that trickles for longer than the timeout is given up', async () => {
  const slow = await startSpotifySimulator({ listeners: 1, slowBodyMs: 6_000 })
  const impatient = openGateway({ sql: null, config: spotifyTestConfig(slow), connections: 1 })
  const tokens = await refreshTokens(impatient, slow.refreshToken(0))
  slow.scriptFault({ fault: 'slow_body', endpoint: 'recently-played' })
  const asked = await impatient.get({
    ...{ kind: 'recently-played', lane: 'polling', path: '/me/player/recently-played' },
    accessToken: tokens.type === 'tokens' ? tokens.tokens.accessToken : '',
  } as const)
  const { outcome } = answerIn(asked)
  expect(outcome.type).toBe('timeout')
  await impatient.close()
  await slow.stop()
})

test('nobody at the other end is unreachable, not an exception', async () => {
  const gone = await startSpotifySimulator({ listeners: 1 })
  await gone.stop()
  const lonely = openGateway({ sql: null, config: spotifyTestConfig(gone), connections: 1 })
  const answer = await refreshTokens(lonely, 'any')
  expect(answer.type === 'refused' && answer.outcome.type).toBe('unreachable')
  await lonely.close()
})

test('a refresh token that is revoked or unknown is invalid_grant', async () => {
  const revoked = sim.refreshToken(2)
  sim.changeListener(2, { refreshToken: 'revoked' })
  for (const token of [revoked, 'AQDnonsense']) {
    const answer = await refreshTokens(client, token)
    expect(answer.type === 'refused' && answer.outcome.type).toBe('invalid_grant')
  }
})

test('a wrong client secret is invalid_client', async () => {
  const strict = await startSpotifySimulator({
    listeners: 1,
    client: { id: 'right', secret: 'right', redirectUris: [] },
  })
  const wrong = openGateway({
    sql: null,
    config: spotifyTestConfig(strict, { SPOTIFY_CLIENT_ID: 'right' }),
    connections: 1,
  })
  const answer = await refreshTokens(wrong, strict.refreshToken(0))
  expect(answer.type === 'refused' && answer.outcome.type).toBe('invalid_client')
  await wrong.close()
  await strict.stop()
})

describe("the app's own token", () => {
  test('is asked for once by many at a time, and kept', async () => {
    const before = sim.stats().answers['token 200'] ?? 0
    const appToken = openAppToken(client)
    const tokens = await Promise.all(Array.from({ length: 5 }, () => appToken.get()))
    tokens.push(await appToken.get())
    expect(new Set(tokens.map((t) => t.type === 'token' && t.accessToken)).size).toBe(1)
    expect((sim.stats().answers['token 200'] ?? 0) - before).toBe(1)
  })

  test('is replaced when it was answered with 401, once for all who saw it', async () => {
    const appToken = openAppToken(client)
    const first = await appToken.get()
    if (first.type !== 'token') throw new Error('no token')
    appToken.invalidate('another')
    expect(await appToken.get()).toEqual(first)
    const before = sim.stats().answers['token 200'] ?? 0
    appToken.invalidate(first.accessToken)
    await Promise.all([appToken.get(), appToken.get()])
    expect((sim.stats().answers['token 200'] ?? 0) - before).toBe(1)
  })

  test('a refusal is told and not kept', async () => {
    const appToken = openAppToken(client)
    sim.scriptFault({ fault: 'upstream_text', endpoint: 'token' })
    expect((await appToken.get()).type).toBe('refused')
    expect((await appToken.get()).type).toBe('token')
  })
})
