/**
 * Every way in which a request to Spotify can end, each named once. Sources: the Web API's documentation and
 * bodies seen in the field.
 */
export const outcomeTypes = {
  ok: '200 with a complete JSON body.',
  unauthorized: '401: the access token is expired or unknown; a new one may help.',
  missing_scope: '401 or 403: the user has not granted the scope that the call needs.',
  gated: '403 JSON "Forbidden", or without any message: this app may not use the endpoint.',
  user_not_listed: "403 text: the user is not on the app's allow-list (Development Mode).",
  premium_lapsed: "403 text: the app owner's Premium has lapsed; every call of the app is refused.",
  refused: '403 of another kind.',
  quota_exceeded: '429 with reason QUOTA_EXCEEDED: the daily quota of this group of endpoints is spent.',
  rate_limited: '429 of any other form: JSON, plain text or empty.',
  not_found: '404 of an entity: it does not exist.',
  feed_missing: '404 of a call that cannot be missing: an outage.',
  bad_request: '400 of the API, e.g. an invalid id.',
  server_error: '5xx with JSON, HTML or text.',
  truncated_json: '200 with JSON that breaks off.',
  not_json: '200 that is no JSON, or does not say that it is: HTML, text, a foreign encoding.',
  unexpected_status: 'A status that the API does not document.',
  invalid_grant: 'Token endpoint: the refresh token or code is dead (or an outage says so).',
  invalid_client: 'Token endpoint: the client id or secret is wrong.',
  token_refused: 'Token endpoint: another 4xx.',
  timeout: 'No complete answer in time.',
  unreachable: 'The connection failed or was reset.',
  too_large: 'The body exceeds the bound.',
} as const

export type OutcomeType = keyof typeof outcomeTypes

/** How a request ended, with the data that the caller needs. */
export type Outcome =
  | { type: 'ok'; json: unknown }
  | { type: 'quota_exceeded' | 'rate_limited'; retryAfterMs: number | null }
  | { type: Exclude<OutcomeType, 'ok' | 'quota_exceeded' | 'rate_limited'>; message: string }

/**
 * Requests are counted, paused and budgeted by lane: `polling` (users' pages), `enrichment` (metadata),
 * `accounts` (tokens).
 */
export type RequestLane = 'polling' | 'enrichment' | 'accounts'

export const lanes: readonly RequestLane[] = ['polling', 'enrichment', 'accounts']

/** One line about an outcome, without secrets. */
export function describeOutcome(outcome: Outcome): string {
  if (outcome.type === 'ok') return 'ok'
  if ('message' in outcome) return outcome.message ? `${outcome.type}: ${outcome.message}` : outcome.type
  const wait =
    outcome.retryAfterMs === null ? 'no Retry-After' : `Retry-After ${outcome.retryAfterMs / 1000} s`
  return `${outcome.type}: ${wait}`
}
