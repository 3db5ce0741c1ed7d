/** The result of a post. */
export type PostOutcome =
  /** Discord holds the message, in this channel; no other may be posted for `holdMs` (its rate limit is used up). */
  | { type: 'sent'; holdMs: number; channelId: string | null }
  | { type: 'limited'; retryAfterMs: number }
  /** The webhook is gone or its token is wrong: Discord punishes further attempts. */
  | { type: 'dead'; status: number; detail: string }
  /** The channel takes no post in this form, with any content; `code` is Discord's. */
  | { type: 'closed'; status: number; code: number; detail: string }
  /** Discord refuses this message; it may take others. */
  | { type: 'refused'; status: number; detail: string }
  | { type: 'away'; detail: string; retryAfterMs: number | null }

const unknownPauseMs = 60_000
const forbiddenPauseMs = 300_000
const detailMax = 300

/** Discord's code: a forum takes no message outside of a thread. */
export const needsThread = 220_001
/** Discord's code: the named thread or channel does not exist. */
export const unknownChannel = 10_003

/** Discord's codes that blame the channel or the address; any other 400 may be the message's own fault. */
const closedCodes = new Set([
  needsThread,
  // A thread's name and its id were both given.
  220_002,
  // Only forums can have threads made this way.
  220_003,
  // Webhooks cannot post here.
  220_004,
  unknownChannel,
  // A post in this forum needs a tag.
  40_067,
  // The thread is archived or locked.
  50_083,
  160_005,
])

type Headers = Record<string, string | string[] | undefined>

/**
 * Classifies an answer of `POST /webhooks/{id}/{token}?wait=true` (docs/design.md, Discord). Only the message with
 * its id, which Discord returns, counts as a delivery; the page or JSON of a proxy does not.
 *
 * | status | means |
 * |---|---|
 * | 2xx with an `id` | the message is there |
 * | 400, 404 with a code of {@link closedCodes}, 403 with any code | the channel takes no message in this form |
 * | other 400, 413 | Discord refuses this message |
 * | 401, other 404 | wrong token or unknown webhook: must not be tried again |
 * | 429 | rate limit: JSON with float seconds, or HTML of Cloudflare with only the header |
 * | 403 without a code | Cloudflare bans the IP address for a while |
 * | anything else | an outage |
 */
export function toOutcome(status: number, headers: Headers, body: string): PostOutcome {
  const detail = body.slice(0, detailMax)
  if (status >= 200 && status < 300 && toText(fieldOf(body, 'id')) !== null) {
    return { type: 'sent', holdMs: holdMs(headers), channelId: toText(fieldOf(body, 'channel_id')) }
  }
  if (status === 429) return { type: 'limited', retryAfterMs: retryAfterMs(headers, body) ?? unknownPauseMs }
  const code = Number(fieldOf(body, 'code'))
  const isClosed = status === 403 ? code > 0 : (status === 400 || status === 404) && closedCodes.has(code)
  if (isClosed) {
    return { type: 'closed', status, code, detail }
  }
  if (status === 401 || status === 404) return { type: 'dead', status, detail }
  if (status === 400 || status === 413) return { type: 'refused', status, detail }
  const asked = retryAfterMs(headers, body)
  return {
    type: 'away',
    detail: `${status} ${detail}`,
    retryAfterMs: asked ?? (status === 403 ? forbiddenPauseMs : null),
  }
}

function holdMs(headers: Headers): number {
  if (headers['x-ratelimit-remaining'] !== '0') return 0
  return seconds(headers['x-ratelimit-reset-after']) ?? 0
}

/** The longer of the times in header and body, at least a second, or null if neither has one. */
function retryAfterMs(headers: Headers, body: string): number | null {
  const told = [seconds(headers['retry-after']), seconds(fieldOf(body, 'retry_after'))].filter(
    (ms) => ms !== null,
  )
  return told.length > 0 ? Math.max(1_000, ...told) : null
}

function seconds(value: unknown): number | null {
  const number = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN
  return Number.isFinite(number) && number >= 0 ? Math.ceil(number * 1000) : null
}

function toText(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function fieldOf(body: string, name: string): unknown {
  try {
    const parsed: unknown = JSON.parse(body)
    return typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, name) : undefined
  } catch {
    return undefined
  }
}
