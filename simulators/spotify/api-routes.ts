import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Answer, json, rawJson, send, text } from '../answer.ts'
import { apiError, type Endpoint, quotaExceeded, unauthorized } from './faults.ts'
import { isWellFormedId } from './ids.ts'
import { toProfile } from './listeners.ts'
import type { PageOddity } from './oddities.ts'
import { type PageItem, sliceWindow, toPageBody, toPageQuery } from './page.ts'
import { toAudioFeatures } from './shapes.ts'
import { type AccessToken, openAccessToken } from './tokens.ts'
import type { World } from './world.ts'

interface Call {
  world: World
  request: FastifyRequest
  token: AccessToken
  page: PageOddity | null
}

/** `items` count as delivered once the whole body is sent. */
interface Result {
  answer: Answer
  items?: readonly PageItem[]
}

type Handler = (call: Call) => Result

const batchSizes = { tracks: 50, artists: 50, 'audio-features': 100 } as const
const appRemoved: Answer = apiError(403, 'Forbidden')
/** Spotify sends this without a message. */
const featuresRemoved: Answer = json(403, { error: { status: 403 } })

/** api.spotify.com: the calls that songswap-stream makes, under `/v1`. */
export function apiRoutes(app: FastifyInstance, world: World): void {
  const route = (path: string, endpoint: Endpoint, handler: Handler) => {
    app.get(path, (request, reply) => answerCall({ world, request, reply }, endpoint, handler))
  }
  route('/v1/me', 'me', me)
  route('/v1/me/player/recently-played', 'recently-played', recentlyPlayed)
  route('/v1/tracks', 'tracks', (call) => batch(call, 'tracks', trackOf))
  route('/v1/tracks/:id', 'track', (call) => single(call, trackOf))
  route('/v1/artists', 'artists', (call) => batch(call, 'artists', artistOf))
  route('/v1/artists/:id', 'artist', (call) => single(call, artistOf))
  route('/v1/audio-features', 'audio-features', (call) =>
    features(call, () => batch(call, 'audio-features', featuresOf)),
  )
  route('/v1/audio-features/:id', 'audio-features', (call) => features(call, () => single(call, featuresOf)))
}

async function answerCall(
  http: { world: World; request: FastifyRequest; reply: FastifyReply },
  endpoint: Endpoint,
  handler: Handler,
): Promise<FastifyReply> {
  const { world, request, reply } = http
  const token = openBearer(world, request)
  const fault = world.faults.next({ endpoint, listener: token?.listener ?? null })
  if (fault) count(world.tally.faults, fault.name)
  if (world.options.latencyMs > 0)
    await new Promise((resolve) => setTimeout(resolve, world.options.latencyMs))
  const result = fault?.effect.answer
    ? { answer: fault.effect.answer }
    : answerOwn({ world, request, token, page: fault?.effect.page ?? null }, endpoint, handler)
  count(world.tally.answers, `${endpoint} ${result.answer.status}`)
  const listener = token?.listener ?? null
  const { items } = result
  return send(reply, result.answer, {
    delivery: fault?.effect.delivery ?? 'whole',
    times: world.options,
    ...(items && listener !== null && { delivered: (body) => deliver(world, { listener, items, body }) }),
  })
}

function deliver(world: World, page: { listener: number; items: readonly PageItem[]; body: Buffer }): void {
  world.truth.deliver({ ...page, at: world.now() })
}

function answerOwn(
  call: Omit<Call, 'token'> & { token: AccessToken | null },
  endpoint: Endpoint,
  handler: Handler,
): Result {
  const { world, token } = call
  if (token === null) return { answer: toTokenRefusal(call.request) }
  const now = world.now()
  const verdict = world.limits.take(token.client, now)
  if (verdict.type === 'quota-exceeded') {
    return { answer: quotaExceeded({ largeRetryAfterSeconds: verdict.retryAfterSeconds }) }
  }
  if (verdict.type === 'rate-limited') {
    const headers = { 'retry-after': String(verdict.retryAfterSeconds) }
    return { answer: apiError(429, 'API rate limit exceeded', headers) }
  }
  if (token.expiresAt <= now) return { answer: unauthorized('The access token expired') }
  if (token.listener === null) return forApp(call, { token, endpoint, handler })
  const listener = world.listeners.get(token.listener)
  if (listener === null) return { answer: unauthorized('Invalid access token') }
  if (token.issuedAt < listener.accessTokensFrom) return { answer: unauthorized('The access token expired') }
  if (!listener.listed) return { answer: text(403, 'User not registered in the Developer Dashboard') }
  if (endpoint === 'recently-played' && !token.scope.split(' ').includes('user-read-recently-played')) {
    return { answer: apiError(403, 'Insufficient client scope') }
  }
  return handler({ ...call, token })
}

/** An app's own token opens the catalogue, not a user's data. */
function forApp(
  call: Omit<Call, 'token'>,
  own: { token: AccessToken; endpoint: Endpoint; handler: Handler },
): Result {
  if (own.endpoint === 'me' || own.endpoint === 'recently-played') {
    return { answer: apiError(401, 'Valid user authentication required') }
  }
  return own.handler({ ...call, token: own.token })
}

function me({ world, token }: Call): Result {
  const listener = world.listeners.get(token.listener ?? -1)
  if (listener === null) return { answer: unauthorized('Invalid access token') }
  return { answer: json(200, toProfile(world.options.seed, listener, world.options.mode)) }
}

function recentlyPlayed({ world, request, token, page }: Call): Result {
  const parsed = toPageQuery(toRecord(request.query))
  if (parsed.type === 'invalid') return { answer: apiError(400, parsed.message) }
  const plays = world.listeners.window(token.listener ?? -1, world.now())
  const chosen = sliceWindow(
    plays.map((play) => ({ at: play.playedAt, play })),
    parsed.query,
  )
  const items = chosen.map(({ play }) => world.renderer.item(play))
  const base = `http://${request.host}/v1/me/player/recently-played`
  const body = toPageBody(items, { query: parsed.query, base, oddity: page })
  return { answer: rawJson(200, body), items: page === 'empty_page' ? [] : items }
}

type Lookup = (world: World, id: string) => string | Buffer | null

function trackOf(world: World, id: string): Buffer | null {
  const index = world.catalogue.trackIndex(id)
  return index === null ? null : world.renderer.trackJson(index)
}

function artistOf(world: World, id: string): string | null {
  const index = world.catalogue.artistIndex(id)
  return index === null ? null : world.renderer.artistJson(index)
}

function featuresOf(world: World, id: string): string | null {
  const index = world.catalogue.trackIndex(id)
  if (index === null) return null
  return JSON.stringify(toAudioFeatures(world.options.seed, world.catalogue.track(index)))
}

/** An unknown id is answered with null in its place. */
function batch({ world, request }: Call, kind: keyof typeof batchSizes, lookup: Lookup): Result {
  if (world.options.mode === 'development') return { answer: appRemoved }
  const ids = idsOf(request)
  if (ids.length === 0) return { answer: apiError(400, 'Missing required field: ids') }
  if (ids.length > batchSizes[kind]) return { answer: apiError(400, 'Too many ids requested') }
  if (!ids.every(isWellFormedId)) return { answer: apiError(400, 'Invalid base62 id') }
  const found = ids.map((id) => lookup(world, id) ?? 'null')
  return { answer: rawJson(200, `{"${kind.replace('-', '_')}":[${found.join(',')}]}`) }
}

function single({ world, request }: Call, lookup: Lookup): Result {
  const id = String(toRecord(request.params).id)
  if (!isWellFormedId(id)) return { answer: apiError(400, 'Invalid base62 id') }
  const found = lookup(world, id)
  return { answer: found === null ? apiError(404, 'Resource not found') : rawJson(200, found) }
}

function features({ world }: Call, handler: () => Result): Result {
  return world.options.mode === 'development' ? { answer: featuresRemoved } : handler()
}

function openBearer(world: World, request: FastifyRequest): AccessToken | null {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ')
  return scheme?.toLowerCase() === 'bearer' && token ? openAccessToken(world.options.seed, token) : null
}

function toTokenRefusal(request: FastifyRequest): Answer {
  if (request.headers.authorization === undefined) return apiError(401, 'No token provided')
  return unauthorized('Invalid access token')
}

export function idsOf(request: FastifyRequest): string[] {
  const { ids } = toRecord(request.query)
  const lists: unknown[] = Array.isArray(ids) ? ids : [ids ?? '']
  return lists.flatMap((list) => String(list).split(',')).filter((id) => id !== '')
}

function toRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function count(counters: Record<string, number>, name: string): void {
  counters[name] = (counters[name] ?? 0) + 1
}
