/** What became of a post. */
export type PostOutcome =
  /** Discord holds the message; `holdMs`: its bucket is empty for so long. */
  | { type: 'sent'; holdMs: number }
  | { type: 'limited'; retryAfterMs: number }
  /** The webhook is gone or its token wrong: further attempts are punished. */
  | { type: 'dead'; status: number; detail: string }
  /** Discord will never take this very message. */
  | { type: 'refused'; status: number; detail: string }
  | { type: 'away'; detail: string; retryAfterMs: number | null }

const unknownPauseMs = 60_000
const forbiddenPauseMs = 300_000
const detailMax = 300

/**
 * Classifies an answer of `POST /webhooks/{id}/{token}?wait=true` (facts: Discord's rate-limits.mdx).
 *
 * | status | means |
 * |---|---|
 * | 200, 204 | the message is there |
 * | 400, 413 | a message that Discord will not take |
 * | 401, 404 | wrong token, unknown webhook: must not be tried again |
 * | 429 | JSON with float seconds, or HTML of Cloudflare with only the header |
 * | 403 | Cloudflare bans the address for a while |
 * | anything else | not there now |
 */
export function toOutcome(
  status: number,
  headers: Record<string, string | string[] | undefined>,
  body: string,
): PostOutcome {
  const detail = body.slice(0, detailMax)
  if (status >= 200 && status < 300) return { type: 'sent', holdMs: holdMs(headers) }
  if (status === 429) return { type: 'limited', retryAfterMs: retryAfterMs(headers, body) ?? unknownPauseMs }
  if (status === 401 || status === 404) return { type: 'dead', status, detail }
  if (status === 400 || status === 413) return { type: 'refused', status, detail }
  const asked = retryAfterMs(headers, body)
  return {
    type: 'away',
    detail: `${status} ${detail}`,
    retryAfterMs: asked ?? (status === 403 ? forbiddenPauseMs : null),
  }
}

function holdMs(headers: Record<string, string | string[] | undefined>): number {
  if (headers['x-ratelimit-remaining'] !== '0') return 0
  return seconds(headers['x-ratelimit-reset-after']) ?? 0
}

/** The longer of what header and body say; at least a second. */
function retryAfterMs(headers: Record<string, string | string[] | undefined>, body: string): number | null {
  const told = [seconds(headers['retry-after']), seconds(fieldOf(body, 'retry_after'))].filter(
    (ms) => ms !== null,
  )
  return told.length > 0 ? Math.max(1_000, ...told) : null
}

function seconds(value: unknown): number | null {
  const number = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN
  return Number.isFinite(number) && number >= 0 ? Math.ceil(number * 1000) : null
}

function fieldOf(body: string, name: string): unknown {
  try {
    const parsed: unknown = JSON.parse(body)
    return typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, name) : undefined
  } catch {
    return undefined
  }
}
