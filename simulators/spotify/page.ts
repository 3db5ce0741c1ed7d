import type { Context } from './listener-day.ts'
import type { PageOddity, PlayOddity, TrackOddity } from './oddities.ts'

/**
 * One item of a recently-played page: its JSON as sent (bytes, so a page is joined without encoding again), and
 * the fields that identify the play.
 */
export interface PageItem {
  json: Buffer
  /** As in the item, or null if it has none. */
  playedAt: string | null
  trackId: string | null
  trackUri: string | null
  oddity: PlayOddity | TrackOddity | 'given' | null
  /** The play's true time, Unix ms; cursors compare with it. */
  at: number
}

export interface PageQuery {
  limit: number
  /** Unix ms, exclusive; at most one of the two. */
  after: number | null
  before: number | null
}

export type PageQueryResult = { type: 'query'; query: PageQuery } | { type: 'invalid'; message: string }

/** Reads `limit`, `after` and `before`. As at Spotify, cursors in seconds are accepted and mean 1970. */
export function toPageQuery(raw: Record<string, unknown>): PageQueryResult {
  const limit = toInteger(raw.limit ?? '20')
  if (limit === null || limit < 1 || limit > 50) return { type: 'invalid', message: 'Invalid limit' }
  if (raw.after !== undefined && raw.before !== undefined) {
    return { type: 'invalid', message: 'Only one of before or after is allowed' }
  }
  const after = raw.after === undefined ? null : toInteger(raw.after)
  const before = raw.before === undefined ? null : toInteger(raw.before)
  if (raw.after !== undefined && after === null) return { type: 'invalid', message: 'Invalid after' }
  if (raw.before !== undefined && before === null) return { type: 'invalid', message: 'Invalid before' }
  return { type: 'query', query: { limit, after, before } }
}

/**
 * The slice of the window (newest first) that a query asks for. Cursors only slice the window: plays behind its
 * 50th are out of reach. With `after` and more newer plays than `limit`, the newest are returned. What Spotify
 * does there is not known; this is the harder case for a client.
 */
export function sliceWindow<Item extends { at: number }>(window: readonly Item[], query: PageQuery): Item[] {
  const { limit, after, before } = query
  const inside = window.filter(({ at }) => (after === null || at > after) && (before === null || at < before))
  return inside.slice(0, limit)
}

/** The page's JSON. `base` is the address of the endpoint, used in `href` and `next`. */
export function toPageBody(
  items: readonly PageItem[],
  page: { query: PageQuery; base: string; oddity: PageOddity | null },
): Buffer {
  const { query, base, oddity } = page
  const shown = oddity === 'empty_page' ? [] : items
  const newest = shown[0]
  const oldest = shown.at(-1)
  const cursors = newest && oldest ? { after: String(newest.at), before: String(oldest.at) } : null
  const rest = {
    next: cursors === null ? null : toNext(base, query, cursors),
    cursors,
    limit: query.limit,
    href: toHref(base, query),
    ...(oddity === 'huge_page' && { x_padding: 'x'.repeat(2_000_000) }),
  }
  const parts = shown.flatMap(({ json }, place) => (place === 0 ? [json] : [comma, json]))
  return Buffer.concat([start, ...parts, Buffer.from(`],${JSON.stringify(rest).slice(1)}`)])
}

const start = Buffer.from('{"items":[')
const comma = Buffer.from(',')

export function toContextObject(context: Context, id: string) {
  return {
    type: context.type,
    external_urls: { spotify: `https://open.spotify.com/${context.type}/${id}` },
    href: `https://api.spotify.com/v1/${context.type}s/${id}`,
    uri: `spotify:${context.type}:${id}`,
  }
}

/** Forward in time for an `after` query, else back. */
function toNext(base: string, query: PageQuery, cursors: { after: string; before: string }): string {
  if (query.after !== null) return `${base}?after=${cursors.after}&limit=${query.limit}`
  return `${base}?before=${cursors.before}&limit=${query.limit}`
}

function toHref(base: string, { limit, after, before }: PageQuery): string {
  const cursor = after !== null ? `after=${after}&` : before !== null ? `before=${before}&` : ''
  return `${base}?${cursor}limit=${limit}`
}

function toInteger(value: unknown): number | null {
  return typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : null
}
