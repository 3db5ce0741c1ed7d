import { type Answer, type Delivery, html, json, text } from '../answer.ts'
import { createRandom, type Random } from '../random.ts'
import type { PageOddity } from './oddities.ts'

export const endpoints = [
  'token',
  'me',
  'recently-played',
  'tracks',
  'track',
  'artists',
  'artist',
  'audio-features',
  'reccobeats',
] as const
export type Endpoint = (typeof endpoints)[number]

/** A fault's effect: an answer of its own, another delivery, or an odd page. */
interface FaultEffect {
  answer?: Answer
  delivery?: Delivery
  page?: PageOddity
}

interface FaultKind {
  /** Endpoints at which it occurs by chance; a script may put any fault anywhere. */
  at: readonly Endpoint[]
  effect(settings: FaultSettings): FaultEffect
}

/** `retryAfterSeconds` overrides the fault's own; null omits the header. */
export interface FaultSettings {
  largeRetryAfterSeconds: number
  retryAfterSeconds?: number | null
}

const userCalls = ['me', 'recently-played'] as const
const metadataCalls = ['tracks', 'track', 'artists', 'artist', 'audio-features'] as const
const apiCalls = [...userCalls, ...metadataCalls] as const

/** Every fault with the body and headers that Spotify or ReccoBeats sends. */
export const faultKinds = {
  expired_token: answering(apiCalls, () => unauthorized('The access token expired')),
  invalid_token: answering(apiCalls, () => unauthorized('Invalid access token')),
  forbidden_gated: answering(metadataCalls, () => apiError(403, 'Forbidden')),
  forbidden_scope: answering(['recently-played'], () => apiError(403, 'Insufficient client scope')),
  forbidden_unlisted_user: answering(userCalls, () =>
    text(403, 'User not registered in the Developer Dashboard'),
  ),
  forbidden_premium: answering(apiCalls, () => text(403, premiumLapsed)),
  rate_limited: answering(apiCalls, (settings) =>
    limited(settings, 1, apiError(429, 'API rate limit exceeded')),
  ),
  rate_limited_zero: answering(apiCalls, (settings) => limited(settings, 0, text(429, 'Too many requests'))),
  rate_limited_bare: answering(apiCalls, (settings) => limited(settings, null, text(429, ''))),
  quota_exceeded: answering(apiCalls, (settings) => quotaExceeded(settings)),
  not_found: answering(['recently-played'], () => apiError(404, 'Resource not found')),
  server_error: answering([...apiCalls, 'token'], () => apiError(500, 'Internal server error')),
  bad_gateway: answering([...apiCalls, 'token'], () => apiError(502, 'Bad gateway.')),
  bad_gateway_html: answering([...endpoints], () => html(502, badGatewayPage)),
  service_unavailable: answering([...endpoints], () => apiError(503, 'Service unavailable')),
  upstream_text: answering([...endpoints], () => text(503, upstreamReset)),
  gateway_timeout: answering([...apiCalls, 'token'], () => apiError(504, 'Gateway timeout')),
  truncated_json: delivering([...endpoints], 'truncated'),
  slow_body: delivering([...endpoints], 'slow'),
  cut_off: delivering([...endpoints], 'cut_off'),
  reset: delivering([...endpoints], 'reset'),
  hang: delivering([...endpoints], 'hang'),
  false_invalid_grant: answering(['token'], () => invalidGrant('Refresh token revoked')),
  reccobeats_limited: answering(['reccobeats'], (settings) => limited(settings, 1, reccobeatsLimit)),
  huge_page: { at: ['recently-played'], effect: () => ({ page: 'huge_page' }) },
  empty_page: { at: ['recently-played'], effect: () => ({ page: 'empty_page' }) },
} satisfies Record<string, FaultKind>

export type FaultName = keyof typeof faultKinds

export const faultNames = Object.keys(faultKinds).filter(isFaultName)

/** Faults that end when the client asks again: they park no user and cost no day. */
export const transientFaults = faultNames.filter(
  (name) => !/^(forbidden_|quota_|false_|huge_|empty_)/.test(name),
)

export function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(faultKinds, name)
}

/** The next `count` matching requests (default 1) get this fault or answer. */
export interface FaultScript {
  fault?: FaultName
  /** Any answer, in place of a known fault. */
  answer?: Answer
  count?: number
  endpoint?: Endpoint
  listener?: number
  retryAfterSeconds?: number | null
}

export interface FaultPlan {
  script(script: FaultScript): void
  setShares(shares: Partial<Record<FaultName, number>>): void
  clear(): void
  /** The fault of this request, or null. Scripts come first, in their order; then chance. */
  next(request: { endpoint: Endpoint; listener: number | null }): { name: string; effect: FaultEffect } | null
}

export function createFaultPlan(options: {
  seed: number
  shares: Partial<Record<FaultName, number>>
  largeRetryAfterSeconds: number
}): FaultPlan {
  const { largeRetryAfterSeconds } = options
  const random = createRandom(options.seed, 51)
  let shares = options.shares
  let scripts: { script: FaultScript; left: number }[] = []
  return {
    script: (script) => void scripts.push({ script, left: script.count ?? 1 }),
    setShares: (next) => {
      shares = next
    },
    clear: () => {
      scripts = []
      shares = {}
    },
    next(request) {
      const scripted = scripts.find(({ script }) => matches(script, request))
      if (scripted === undefined) return byChance(random, shares, { request, largeRetryAfterSeconds })
      scripted.left -= 1
      if (scripted.left <= 0) scripts = scripts.filter((other) => other !== scripted)
      return toScripted(scripted.script, largeRetryAfterSeconds)
    },
  }
}

function matches(script: FaultScript, request: { endpoint: Endpoint; listener: number | null }): boolean {
  const { endpoint = request.endpoint, listener = request.listener } = script
  return endpoint === request.endpoint && listener === request.listener
}

function toScripted(script: FaultScript, largeRetryAfterSeconds: number) {
  if (script.answer !== undefined) return { name: 'scripted', effect: { answer: script.answer } }
  if (script.fault === undefined) return null
  const settings: FaultSettings = { largeRetryAfterSeconds }
  if (script.retryAfterSeconds !== undefined) settings.retryAfterSeconds = script.retryAfterSeconds
  return { name: script.fault, effect: faultKinds[script.fault].effect(settings) }
}

function byChance(
  random: Random,
  shares: Partial<Record<FaultName, number>>,
  context: { request: { endpoint: Endpoint }; largeRetryAfterSeconds: number },
) {
  for (const name of faultNames) {
    const share = shares[name]
    const kind: FaultKind = faultKinds[name]
    if (share === undefined || !kind.at.includes(context.request.endpoint)) continue
    if (random.chance(share)) return { name, effect: kind.effect(context) }
  }
  return null
}

/** Spotify's own form of an error. */
export function apiError(status: number, message: string, headers: Record<string, string> = {}): Answer {
  return json(status, { error: { status, message } }, headers)
}

export function unauthorized(message: string): Answer {
  const description = `Bearer realm="spotify", error="invalid_token", error_description="${message}"`
  return apiError(401, message, { 'www-authenticate': description })
}

export function invalidGrant(description: string): Answer {
  return json(400, { error: 'invalid_grant', error_description: description })
}

export function quotaExceeded(settings: FaultSettings): Answer {
  const body = json(429, { error: { status: 429, message: 'Too many requests', reason: 'QUOTA_EXCEEDED' } })
  return limited(settings, settings.largeRetryAfterSeconds, body)
}

const premiumLapsed =
  'Active premium subscription required for the owner of the app. When the subscription status changes, it can ' +
  'take a few hours before requests are allowed again.'

/** ReccoBeats' own code of a rate limit. */
const reccobeatsLimit = json(429, { status: 4291, error: 'Too many requests' })

const upstreamReset =
  'upstream connect error or disconnect/reset before headers. reset reason: connection failure'

const badGatewayPage =
  '<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n' +
  '<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>\n'

function limited(settings: FaultSettings, retryAfterSeconds: number | null, answer: Answer): Answer {
  const seconds = settings.retryAfterSeconds === undefined ? retryAfterSeconds : settings.retryAfterSeconds
  if (seconds === null) return answer
  return { ...answer, headers: { ...answer.headers, 'retry-after': String(seconds) } }
}

function answering(at: readonly Endpoint[], answer: (settings: FaultSettings) => Answer): FaultKind {
  return { at, effect: (settings) => ({ answer: answer(settings) }) }
}

function delivering(at: readonly Endpoint[], delivery: Delivery): FaultKind {
  return { at, effect: () => ({ delivery }) }
}
