import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CallKind } from './classify.ts'
import { classify, classifyFailure } from './classify.ts'
import type { OutcomeType } from './outcome.ts'
import { describeOutcome, outcomeTypes } from './outcome.ts'
import { isOutage } from './outcome-rules.ts'

type Body = string | object
const answer = (status: number, body: Body = '', headers: Record<string, string> = {}) => ({
  status,
  headers,
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
})
const json = { 'content-type': 'application/json; charset=utf-8' }
const apiError = (status: number, message?: string) => ({ error: { status, message } })
const quota = { error: { status: 429, message: 'Too many requests', reason: 'QUOTA_EXCEEDED' } }
const html = '<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head></html>'
const upstream = 'upstream connect error or disconnect/reset before headers. reset reason: connection failure'
const premium =
  'Active premium subscription required for the owner of the app. When the subscription status changes, it can take a few hours before requests are allowed again.'

describe('every answer of Spotify has a name', () => {
  test.each<[string, CallKind, ReturnType<typeof answer>, OutcomeType]>([
    ['a page', 'recently-played', answer(200, { items: [] }), 'ok'],
    ['JSON that is no page', 'recently-played', answer(200, 'null'), 'ok'],
    ['JSON that breaks off', 'recently-played', answer(200, '{"items":[{"track":{"na'), 'truncated_json'],
    ['an empty body', 'recently-played', answer(200), 'not_json'],
    ['204 without a body', 'recently-played', answer(204), 'not_json'],
    ['HTML with 200', 'recently-played', answer(200, html), 'not_json'],
    ['a page that says that it is JSON', 'recently-played', answer(200, { items: [] }, json), 'ok'],
    ['JSON of a vendor', 'token', answer(200, {}, { 'content-type': 'application/vnd.x+json' }), 'ok'],
    ['JSON that says that it is HTML', 'token', answer(200, {}, { 'content-type': 'text/html' }), 'not_json'],
    [
      'JSON in UTF-16',
      'token',
      answer(200, {}, { 'content-type': 'application/json; charset=utf-16' }),
      'not_json',
    ],
    ['a body that is still packed', 'token', answer(200, {}, { 'content-encoding': 'exotic' }), 'not_json'],
    ['a part of a page', 'recently-played', answer(206, { items: [] }, json), 'unexpected_status'],
    [
      'a page that a proxy has changed',
      'recently-played',
      answer(203, { items: [] }, json),
      'unexpected_status',
    ],
    [
      'an expired access token',
      'recently-played',
      answer(401, apiError(401, 'The access token expired')),
      'unauthorized',
    ],
    [
      'an unknown access token',
      'profile',
      answer(401, apiError(401, 'Invalid access token')),
      'unauthorized',
    ],
    ['401 without a body', 'entity', answer(401), 'unauthorized'],
    [
      '401 for lack of a permission',
      'recently-played',
      answer(401, apiError(401, 'Permissions missing')),
      'missing_scope',
    ],
    [
      '403 for lack of a scope',
      'recently-played',
      answer(403, apiError(403, 'Insufficient client scope')),
      'missing_scope',
    ],
    ['a gated batch', 'batch', answer(403, apiError(403, 'Forbidden')), 'gated'],
    ['gated audio features, without a message', 'entity', answer(403, apiError(403)), 'gated'],
    ['a gated page', 'recently-played', answer(403, apiError(403, 'Forbidden')), 'gated'],
    [
      'a user not on the list',
      'recently-played',
      answer(403, 'User not registered in the Developer Dashboard'),
      'user_not_listed',
    ],
    ['a lapsed Premium', 'recently-played', answer(403, premium), 'premium_lapsed'],
    ['a lapsed Premium while enriching', 'entity', answer(403, premium), 'premium_lapsed'],
    ['a lapsed Premium in JSON', 'recently-played', answer(403, apiError(403, premium)), 'premium_lapsed'],
    ['403 as HTML', 'recently-played', answer(403, '<html>Access denied</html>'), 'refused'],
    ['403 without a body', 'recently-played', answer(403), 'refused'],
    [
      '403 with a message of another kind',
      'recently-played',
      answer(403, apiError(403, 'Player command failed')),
      'refused',
    ],
    ['the quota is spent', 'recently-played', answer(429, quota), 'quota_exceeded'],
    ['429 in JSON', 'entity', answer(429, apiError(429, 'API rate limit exceeded')), 'rate_limited'],
    ['429 as text', 'recently-played', answer(429, 'Too many requests'), 'rate_limited'],
    ['429 without a body', 'recently-played', answer(429), 'rate_limited'],
    ['429 of the token endpoint', 'token', answer(429, 'Too many requests'), 'rate_limited'],
    ['an entity that does not exist', 'entity', answer(404, apiError(404, 'non existing id')), 'not_found'],
    ['404 of the feed', 'recently-played', answer(404, apiError(404, 'Resource not found')), 'feed_missing'],
    ['404 of a batch', 'batch', answer(404), 'feed_missing'],
    ['an invalid id', 'entity', answer(400, apiError(400, 'Invalid base62 id')), 'bad_request'],
    ['502 in JSON', 'recently-played', answer(502, apiError(502, 'Bad gateway.')), 'server_error'],
    ['502 as HTML', 'recently-played', answer(502, html), 'server_error'],
    ['503 as text of a proxy', 'entity', answer(503, upstream), 'server_error'],
    ['504 without a body', 'entity', answer(504), 'server_error'],
    ['a redirect', 'recently-played', answer(302, ''), 'unexpected_status'],
    ['a status from nowhere', 'recently-played', answer(418, 'teapot'), 'unexpected_status'],
    [
      'a dead refresh token',
      'token',
      answer(400, { error: 'invalid_grant', error_description: 'Refresh token expired' }),
      'invalid_grant',
    ],
    [
      'a revoked refresh token',
      'token',
      answer(400, { error: 'invalid_grant', error_description: 'Refresh token revoked' }),
      'invalid_grant',
    ],
    ['a dead refresh token, in few words', 'token', answer(400, { error: 'invalid_grant' }), 'invalid_grant'],
    [
      'a wrong client secret',
      'token',
      answer(400, { error: 'invalid_client', error_description: 'Invalid client secret' }),
      'invalid_client',
    ],
    ['a wrong client secret with 401', 'token', answer(401, { error: 'invalid_client' }), 'invalid_client'],
    [
      'another 400 of the token endpoint',
      'token',
      answer(400, { error: 'invalid_request' }),
      'token_refused',
    ],
    ['403 as HTML of the token endpoint', 'token', answer(403, html), 'token_refused'],
    ['503 as text of the token endpoint', 'token', answer(503, upstream), 'server_error'],
    ['502 as HTML of the token endpoint', 'token', answer(502, html), 'server_error'],
  ])('%s', (_name, kind, given, type) => {
    expect(classify(kind, given).type).toBe(type)
  })

  test('an outage of the token endpoint is never a dead token', () => {
    const noise = fc.string().map((text) => answer(503, `invalid_grant ${text}`))
    fc.assert(fc.property(noise, (given) => classify('token', given).type !== 'invalid_grant'))
  })

  test('whatever comes has a documented name', () => {
    const kinds: CallKind[] = ['recently-played', 'profile', 'entity', 'batch', 'token']
    const any = fc.record({
      status: fc.integer({ min: 100, max: 599 }),
      headers: fc.dictionary(fc.constantFrom('retry-after', 'x'), fc.string()),
      body: fc.oneof(fc.json(), fc.string()).map((text) => Buffer.from(text)),
    })
    fc.assert(
      fc.property(fc.constantFrom(...kinds), any, (kind, given) => {
        const outcome = classify(kind, given)
        expect(outcomeTypes).toHaveProperty(outcome.type)
        expect(describeOutcome(outcome)).toContain(outcome.type)
      }),
    )
  })
})

describe('Retry-After', () => {
  test.each([
    [undefined, null],
    ['0', 1_000],
    ['1', 1_000],
    ['17', 17_000],
    ['0.4', 1_000],
    ['49861', 49_861_000],
    ['999999999', 86_400_000],
    ['soon', null],
    ['-5', null],
    ['', null],
  ])('%s means %s ms', (header, ms) => {
    const headers: Record<string, string> = header === undefined ? {} : { 'retry-after': header }
    expect(classify('recently-played', answer(429, quota, headers))).toEqual({
      type: 'quota_exceeded',
      retryAfterMs: ms,
    })
  })
})

describe('errors of the connection', () => {
  const error = (code: string) => Object.assign(new Error('went wrong'), { code })

  test.each([
    ['UND_ERR_HEADERS_TIMEOUT', 'timeout'],
    ['UND_ERR_BODY_TIMEOUT', 'timeout'],
    ['UND_ERR_CONNECT_TIMEOUT', 'timeout'],
    ['UND_ERR_SOCKET', 'unreachable'],
    ['ECONNRESET', 'unreachable'],
    ['ECONNREFUSED', 'unreachable'],
    ['ENOTFOUND', 'unreachable'],
    ['HPE_INVALID_CONSTANT', 'unreachable'],
    ['UND_ERR_RES_EXCEEDED_MAX_SIZE', 'too_large'],
  ])('%s is %s, an outage', (code, type) => {
    const outcome = classifyFailure(error(code))
    expect(outcome?.type).toBe(type)
    expect(outcome && isOutage(outcome)).toBe(true)
  })

  test('a deadline is a timeout', async () => {
    const deadline = AbortSignal.timeout(1)
    await new Promise((resolve) => deadline.addEventListener('abort', resolve))
    expect(classifyFailure(deadline.reason)?.type).toBe('timeout')
  })

  test('all addresses of a host refusing is unreachable', () => {
    expect(classifyFailure(new AggregateError([error('ECONNREFUSED')]))?.type).toBe('unreachable')
  })

  test('a fault of the program is nobody else’s', () => {
    expect(classifyFailure(new TypeError('x is not a function'))).toBeNull()
    expect(classifyFailure('text')).toBeNull()
  })
})

test('what is told of an answer holds no token', () => {
  const outcome = classify('token', answer(400, 'refresh_token=AQDsecret&x=1'))
  expect(describeOutcome(outcome)).not.toContain('AQDsecret')
})
