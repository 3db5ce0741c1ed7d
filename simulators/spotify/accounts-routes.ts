import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Answer, html, json, send, text } from '../answer.ts'
import { fraction } from '../random.ts'
import { toConsentPage } from './consent-page.ts'
import { invalidGrant } from './faults.ts'
import type { Listener } from './listeners.ts'
import { redirectFault } from './redirect-uri.ts'
import { type AccessToken, openRefreshToken, type RefreshToken, sealToken } from './tokens.ts'
import type { World } from './world.ts'

interface Code {
  listener: number
  client: string
  redirectUri: string
  scope: string
  challenge: string | null
  expiresAt: number
}

interface TokenResult {
  answer: Answer
  /** Runs once the whole answer is sent: a rotation whose answer is lost does not happen. */
  delivered?: () => void
}

type Form = Record<string, unknown>

const codeLifeMs = 600_000

/** accounts.spotify.com: consent, code flow with PKCE and state, refresh, client credentials. */
export function accountsRoutes(app: FastifyInstance, world: World): void {
  const codes = new Map<string, Code>()

  app.get('/authorize', async (request, reply) => {
    const query = toForm(request.query)
    const refusal = toAuthorizeRefusal(world, query)
    if (refusal !== null) return send(reply, text(400, refusal), whole(world))
    const chosen = query.listener === undefined ? null : world.listeners.find(textOf(query.listener))
    const listener = chosen ?? (world.options.autoApprove ? world.listeners.get(0) : null)
    if (query.decision === 'cancel') return redirectBack(reply, query, { error: 'access_denied' })
    if (listener === null) return send(reply, html(200, toConsentPage(world, query)), whole(world))
    return redirectBack(reply, query, { code: giveCode(codes, { world, query, listener }) })
  })

  app.post('/api/token', async (request, reply) => {
    const form = toForm(request.body)
    const refresh = openRefreshToken(world.options.seed, textOf(form.refresh_token))
    const fault = world.faults.next({ endpoint: 'token', listener: refresh?.listener ?? null })
    if (fault) world.tally.faults[fault.name] = (world.tally.faults[fault.name] ?? 0) + 1
    const result = fault?.effect.answer
      ? { answer: fault.effect.answer }
      : grant(world, codes, { request, form })
    const key = `token ${result.answer.status}`
    world.tally.answers[key] = (world.tally.answers[key] ?? 0) + 1
    return send(reply, result.answer, {
      delivery: fault?.effect.delivery ?? 'whole',
      times: world.options,
      ...(result.delivered && { delivered: result.delivered }),
    })
  })
}

function whole(world: World) {
  return { delivery: 'whole', times: world.options } as const
}

/** Text of a refusal that the user sees instead of a redirect, or null if the request is in order. */
function toAuthorizeRefusal(world: World, query: Form): string | null {
  const { client } = world.options
  if (textOf(query.client_id) === '') return 'Missing required parameter: client_id'
  if (client && query.client_id !== client.id) return 'INVALID_CLIENT: Invalid client'
  if (query.response_type !== 'code') return 'response_type must be code'
  const fault = redirectFault(textOf(query.redirect_uri), client?.redirectUris ?? null)
  if (fault !== null) return fault
  if (query.code_challenge !== undefined && query.code_challenge_method !== 'S256') {
    return 'code_challenge_method must be S256'
  }
  return null
}

function redirectBack(reply: FastifyReply, query: Form, result: Record<string, string>): FastifyReply {
  const target = new URL(textOf(query.redirect_uri))
  for (const [name, value] of Object.entries(result)) target.searchParams.set(name, value)
  if (query.state !== undefined) target.searchParams.set('state', textOf(query.state))
  return reply.redirect(target.href, 302)
}

function giveCode(
  codes: Map<string, Code>,
  given: { world: World; query: Form; listener: Listener },
): string {
  const { world, query, listener } = given
  const code = sealToken(world.options.seed, {
    kind: 'access',
    listener: listener.index,
    client: `code ${codes.size}`,
    scope: '',
    issuedAt: world.now(),
    expiresAt: 0,
  })
  codes.set(code, {
    listener: listener.index,
    client: textOf(query.client_id),
    redirectUri: textOf(query.redirect_uri),
    scope: textOf(query.scope),
    challenge: query.code_challenge === undefined ? null : textOf(query.code_challenge),
    expiresAt: world.now() + codeLifeMs,
  })
  return code
}

function grant(
  world: World,
  codes: Map<string, Code>,
  call: { request: FastifyRequest; form: Form },
): TokenResult {
  const { request, form } = call
  const client = toClient(request, form)
  const registered = world.options.client
  const secretOk = registered === null || client.secret === registered.secret
  if (client.id === '' || (registered && client.id !== registered.id))
    return oauthError('invalid_client', 'Invalid client')
  if (client.secret !== null && !secretOk) return oauthError('invalid_client', 'Invalid client secret')
  if (form.grant_type === 'client_credentials') {
    return client.secret === null
      ? oauthError('invalid_client', 'Invalid client')
      : grantApp(world, client.id)
  }
  if (form.grant_type === 'refresh_token')
    return grantRefresh(world, { client, token: textOf(form.refresh_token) })
  if (form.grant_type === 'authorization_code') return grantCode(world, codes, { client, form })
  return oauthError('unsupported_grant_type', 'grant_type parameter is missing or unknown')
}

interface Client {
  id: string
  /** Null for a public client, which proves itself by PKCE. */
  secret: string | null
}

function toClient(request: FastifyRequest, form: Form): Client {
  const [scheme, credentials] = (request.headers.authorization ?? '').split(' ')
  if (scheme?.toLowerCase() === 'basic' && credentials) {
    const [id = '', ...secret] = Buffer.from(credentials, 'base64').toString().split(':')
    return { id, secret: secret.join(':') }
  }
  return {
    id: textOf(form.client_id),
    secret: form.client_secret === undefined ? null : textOf(form.client_secret),
  }
}

function grantApp(world: World, client: string): TokenResult {
  const { accessTokenSeconds } = world.options
  const access_token = newAccessToken(world, { listener: null, client, scope: '' })
  return { answer: json(200, { access_token, token_type: 'Bearer', expires_in: accessTokenSeconds }) }
}

function grantCode(
  world: World,
  codes: Map<string, Code>,
  call: { client: Client; form: Form },
): TokenResult {
  const { client, form } = call
  const code = codes.get(textOf(form.code))
  codes.delete(textOf(form.code))
  if (!code || code.expiresAt < world.now()) return { answer: invalidGrant('Invalid authorization code') }
  if (code.client !== client.id) return { answer: invalidGrant('Invalid authorization code') }
  if (code.redirectUri !== form.redirect_uri) return { answer: invalidGrant('Invalid redirect URI') }
  if (code.challenge === null && client.secret === null) return oauthError('invalid_client', 'Invalid client')
  if (code.challenge !== null && code.challenge !== toChallenge(textOf(form.code_verifier))) {
    return { answer: invalidGrant('code_verifier was incorrect') }
  }
  const listener = world.listeners.get(code.listener)
  if (listener === null) return { answer: invalidGrant('Invalid authorization code') }
  const refresh: RefreshToken = {
    kind: 'refresh',
    listener: code.listener,
    client: client.id,
    scope: code.scope,
    generation: listener.generation,
    authorizedAt: Math.max(world.now(), (listener.consentEnded?.until ?? 0) + 1),
  }
  return { answer: toTokenAnswer(world, { refresh, client: client.id, withRefreshToken: true }) }
}

function grantRefresh(world: World, call: { client: Client; token: string }): TokenResult {
  const token = openRefreshToken(world.options.seed, call.token)
  const listener = token === null ? null : world.listeners.get(token.listener)
  if (token === null || listener === null) return { answer: invalidGrant('Invalid refresh token') }
  if (token.client !== null && token.client !== call.client.id)
    return { answer: invalidGrant('Invalid refresh token') }
  const fault = toRefreshFault(world, listener, token)
  if (fault !== null) return { answer: invalidGrant(fault) }
  const rotated = rotates(world, token)
  const next = rotated ? { ...token, generation: token.generation + 1 } : token
  return {
    answer: toTokenAnswer(world, { refresh: next, client: call.client.id, withRefreshToken: rotated }),
    delivered: () => {
      listener.generation = Math.max(listener.generation, next.generation)
    },
  }
}

/** A generation newer than the known one was issued before a restart and is valid. */
function toRefreshFault(world: World, listener: Listener, token: RefreshToken): string | null {
  const { consentEnded } = listener
  if (consentEnded && token.authorizedAt <= consentEnded.until) return `Refresh token ${consentEnded.reason}`
  if (world.now() - token.authorizedAt > world.options.refreshTokenSeconds * 1000)
    return 'Refresh token expired'
  return token.generation < listener.generation ? 'Invalid refresh token' : null
}

function rotates(world: World, token: RefreshToken): boolean {
  const { refreshTokenRotation, seed } = world.options
  if (refreshTokenRotation === 'always') return true
  const one = fraction(seed, 81, token.listener, token.generation, Math.floor(world.now() / 1000))
  return refreshTokenRotation === 'rarely' && one < 0.05
}

function toTokenAnswer(
  world: World,
  given: { refresh: RefreshToken; client: string; withRefreshToken: boolean },
): Answer {
  const { listener, scope } = given.refresh
  return json(200, {
    access_token: newAccessToken(world, { listener, client: given.client, scope }),
    token_type: 'Bearer',
    expires_in: world.options.accessTokenSeconds,
    ...(given.withRefreshToken && { refresh_token: sealToken(world.options.seed, given.refresh) }),
    scope,
  })
}

function newAccessToken(world: World, token: Pick<AccessToken, 'listener' | 'client' | 'scope'>): string {
  const issuedAt = world.now()
  const expiresAt = issuedAt + world.options.accessTokenSeconds * 1000
  return sealToken(world.options.seed, { kind: 'access', ...token, issuedAt, expiresAt })
}

function oauthError(error: string, description: string): TokenResult {
  return { answer: json(400, { error, error_description: description }) }
}

function toChallenge(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url')
}

function toForm(value: unknown): Form {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
