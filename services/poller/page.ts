import { createHash } from 'node:crypto'

/** What the poller reads from a page; the loader reads the rest. */
export interface PageSummary {
  /** Equal for two pages with the same plays, in any order, even if other fields differ. */
  digest: string
  /** Items of the page, or null if the JSON is not a page. It is published all the same: only the loader parses. */
  count: number | null
  /** When the plays ended, where they say so: Unix ms, newest first, without those in the future. */
  playedAt: number[]
}

/** Clocks differ a little. A play further in the future than this says nothing about when the user listened. */
const futureToleranceMs = 5 * 60_000

/**
 * Summarises a response of recently-played. Never throws: odd items count with a digest of their JSON.
 *
 * @param json the parsed body
 * @param now Unix time in milliseconds
 */
export function summarise(json: unknown, now: number): PageSummary {
  const items = isObject(json) && Array.isArray(json.items) ? json.items : null
  if (!items) return { digest: sha256(['no page', JSON.stringify(json)]), count: null, playedAt: [] }
  const playedAt = items
    .map((item) =>
      isObject(item) && typeof item.played_at === 'string' ? Date.parse(item.played_at) : Number.NaN,
    )
    .filter((at) => at <= now + futureToleranceMs)
    .sort((a, b) => b - a)
  return { digest: sha256(items.map(playKey).sort()), count: items.length, playedAt }
}

/** Time and track of the item, or the whole item if it has no time. */
function playKey(item: unknown): string {
  if (!isObject(item) || typeof item.played_at !== 'string') return `item ${JSON.stringify(item)}`
  const track = isObject(item.track) ? (item.track.id ?? item.track.uri ?? null) : null
  return `play ${item.played_at} ${typeof track === 'string' ? track : JSON.stringify(item.track)}`
}

/** Lengths are hashed too, so that no two lists look alike. */
function sha256(parts: string[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part.length}:`).update(part)
  return hash.digest('hex')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
