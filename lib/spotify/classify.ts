import { scrub } from '../log.ts'
import type { HttpAnswer } from './decode-body.ts'
import { codingsOf } from './decode-body.ts'
import type { Outcome } from './outcome.ts'

/**
 * The kind of a request, on which the meaning of a status depends: `recently-played` and `profile` are for a user,
 * `entity` looks up one id, `batch` several, `token` goes to the accounts service.
 */
export type CallKind = 'recently-played' | 'profile' | 'entity' | 'batch' | 'token'

/** Spotify often sends a Retry-After of 0, which would make a tight loop. */
const minRetryAfterMs = 1_000
/** No quota lasts longer than its window of a day; with a larger value, ask again after a day. */
const maxRetryAfterMs = 24 * 3_600_000

const messageLimit = 300

/** Names the outcome of an answer. Never throws: every answer has an outcome. */
export function classify(kind: CallKind, answer: HttpAnswer): Outcome {
  const { status } = answer
  if (status === 200 || status === 204) return classifySuccess(kind, answer)
  if (status === 429) return classifyLimit(answer)
  if (status >= 500) return { type: 'server_error', message: `${status} ${textOf(answer)}`.trim() }
  if (kind === 'token') return classifyTokenRefusal(answer)
  if (status === 401) return classifyUnauthorized(answer)
  if (status === 403) return classifyForbidden(answer)
  if (status === 404)
    return { type: kind === 'entity' ? 'not_found' : 'feed_missing', message: errorMessage(answer) }
  if (status === 400) return { type: 'bad_request', message: errorMessage(answer) }
  return { type: 'unexpected_status', message: `${status} ${textOf(answer)}`.trim() }
}

/** Names the outcome of an error of the HTTP client, or null if it is not a network error: the caller throws it. */
export function classifyFailure(error: unknown): Outcome | null {
  if (!(error instanceof Error)) return null
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const message = scrub(`${error.name} ${code} ${error.message}`).slice(0, messageLimit)
  if (timeoutCodes.has(code) || error.name === 'TimeoutError') return { type: 'timeout', message }
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return { type: 'too_large', message }
  if (isNetworkFailure(error, code)) return { type: 'unreachable', message }
  return null
}

const timeoutCodes = new Set([
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'ETIMEDOUT',
])

const networkCodes = new Set([
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
])

function isNetworkFailure(error: Error, code: string): boolean {
  // HPE_*: the answer is not HTTP. ERR_SSL_* and CERT_*: a proxy or captive portal is in between.
  if (networkCodes.has(code) || /^(HPE_|ERR_SSL_|ERR_TLS_|CERT_|UNABLE_TO_)|SELF_SIGNED/.test(code))
    return true
  if (error instanceof AggregateError) return error.errors.some((e) => classifyFailure(e) !== null)
  return error.cause instanceof Error && classifyFailure(error.cause) !== null
}

/** Why a body is not readable JSON, according to the answer's headers; null if they say JSON, or nothing. */
function declaredFault(answer: HttpAnswer): string | null {
  const codings = codingsOf(answer)
  if (codings.length > 0) return `packed as ${codings.join(', ')}`
  const header = answer.headers['content-type']
  const [type = '', ...parameters] = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(';')
  if (type.trim() !== '' && !/^(application\/json|[\w.+-]+\/[\w.+-]+\+json)$/i.test(type.trim()))
    return `of the type ${scrub(type.trim()).slice(0, messageLimit)}`
  const charset = /^charset="?([^"]+)"?$/i.exec(parameters.map((p) => p.trim()).join(';'))?.[1]
  return charset && !/^(utf-?8|us-ascii)$/i.test(charset) ? `in ${charset}` : null
}

/**
 * Parses a page as Latin-1, which takes half the time. Only its times and ids are read, and these are ASCII; other text
 * in its `json` may be garbled.
 */
function classifySuccess(kind: CallKind, answer: HttpAnswer): Outcome {
  const fault = declaredFault(answer)
  if (fault) return { type: 'not_json', message: `${answer.status} ${fault}` }
  const text = answer.body.toString(kind === 'recently-played' ? 'latin1' : 'utf8')
  try {
    return { type: 'ok', json: JSON.parse(text) }
  } catch {
    const type = /^\s*[[{]/.test(text) ? 'truncated_json' : 'not_json'
    return { type, message: `${answer.status} with ${answer.body.length} bytes that are no JSON` }
  }
}

function classifyLimit(answer: HttpAnswer): Outcome {
  const type = errorField(answer, 'reason') === 'QUOTA_EXCEEDED' ? 'quota_exceeded' : 'rate_limited'
  return { type, retryAfterMs: readRetryAfter(answer) }
}

/** Retry-After in milliseconds, within the bounds above; null if missing or unreadable. */
function readRetryAfter(answer: HttpAnswer): number | null {
  const header = answer.headers['retry-after']
  const text = (Array.isArray(header) ? header[0] : header)?.trim() ?? ''
  if (!/^\d+(\.\d+)?$/.test(text)) return null
  return Math.min(Math.max(Math.ceil(Number(text) * 1000), minRetryAfterMs), maxRetryAfterMs)
}

const scopePattern = /\bscope\b|permissions missing/i

function classifyUnauthorized(answer: HttpAnswer): Outcome {
  const message = errorMessage(answer)
  return { type: scopePattern.test(message) ? 'missing_scope' : 'unauthorized', message }
}

/** A 403 means at least five things, which only the body distinguishes; any other 403 is `refused`. */
function classifyForbidden(answer: HttpAnswer): Outcome {
  const message = errorMessage(answer)
  if (/active premium subscription required/i.test(message)) return { type: 'premium_lapsed', message }
  if (/not registered in the developer dashboard/i.test(message)) return { type: 'user_not_listed', message }
  if (scopePattern.test(message)) return { type: 'missing_scope', message }
  // audio-features answers {"error":{"status":403}}: JSON without a message.
  if (isErrorObject(answer) && (message === '' || message === 'Forbidden')) return { type: 'gated', message }
  return { type: 'refused', message }
}

function classifyTokenRefusal(answer: HttpAnswer): Outcome {
  const json = jsonOf(answer)
  const code = typeof json?.error === 'string' ? json.error : ''
  const description = typeof json?.error_description === 'string' ? json.error_description : ''
  const message = scrub(description || code || textOf(answer)).slice(0, messageLimit)
  if (code === 'invalid_grant') return { type: 'invalid_grant', message }
  if (code === 'invalid_client') return { type: 'invalid_client', message }
  return { type: 'token_refused', message: `${answer.status} ${message}`.trim() }
}

function isErrorObject(answer: HttpAnswer): boolean {
  return isObject(jsonOf(answer)?.error)
}

function errorField(answer: HttpAnswer, field: string): unknown {
  const error = jsonOf(answer)?.error
  return isObject(error) ? error[field] : undefined
}

/** Spotify's own message if the body has its form, else the body's text. */
function errorMessage(answer: HttpAnswer): string {
  if (!isErrorObject(answer)) return textOf(answer)
  const message = errorField(answer, 'message')
  return typeof message === 'string' ? scrub(message).slice(0, messageLimit) : ''
}

function textOf(answer: HttpAnswer): string {
  const text = answer.body.subarray(0, messageLimit).toString('utf8')
  return scrub(text.replace(/\s+/g, ' ').trim())
}

function jsonOf(answer: HttpAnswer): Record<string, unknown> | null {
  try {
    const json: unknown = JSON.parse(answer.body.toString('utf8'))
    return isObject(json) ? json : null
  } catch {
    return null
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
