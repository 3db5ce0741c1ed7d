import type { JsonObject, ReadText } from './fields.ts'
import { idOf, isObject, sha256, textOf } from './fields.ts'

/** Lawful items that are no plays of tracks; they end here, counted by name. */
const dropReasons = {
  null_track: 'The track is null: Spotify knows that something was played, not what.',
  not_a_track: 'The item is an episode or a chapter.',
  erased_user: 'The user was erased: nothing of theirs is kept.',
} as const

/** Why an item cannot be told: the page is dead-lettered for it, its other items are stored. */
const rejectReasons = {
  invalid_item: 'The item is no object.',
  missing_track: 'The item has no track.',
  missing_track_id: 'The track has neither an id nor a uri.',
  missing_played_at: 'The item does not say when it was played.',
  invalid_played_at: 'played_at is no time of 1970 or later.',
  future_played_at: 'played_at is more than a day after the page was fetched.',
} as const

export type DropReason = keyof typeof dropReasons
export type RejectReason = keyof typeof rejectReasons

export type Item =
  | { type: 'play'; playedAt: number; trackId: string; track: JsonObject }
  /** `playedAt` is null where the item does not tell. */
  | { type: 'drop'; reason: DropReason; playedAt: number | null }
  /** `digest` tells the item again in the next poll. */
  | {
      type: 'rejected'
      reason: RejectReason
      playedAt: number | null
      digest: string
      trackName: string | null
    }

/**
 * How far ahead of the fetch a play may be. A device that was offline stamps plays with its own clock, and our
 * own may be slow: within a day the play is stored under the time that Spotify gives it, which stays its key.
 * Beyond that the time tells nothing.
 */
const futureToleranceMs = 24 * 60 * 60_000

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

/** Decides what one item of a page is. `fetchedAt` is the page's, Unix ms; `read` reads the page's texts. */
export function toItem(item: unknown, fetchedAt: number, read: ReadText = textOf): Item {
  if (!isObject(item)) return toRejected(item, 'invalid_item', null)
  const { track, played_at: playedAtText } = item
  const playedAt = typeof playedAtText === 'string' ? toTime(playedAtText) : null
  if (track === null) return { type: 'drop', reason: 'null_track', playedAt }
  if (!isObject(track)) return toRejected(item, 'missing_track', playedAt)
  if (typeof track.type === 'string' && track.type !== 'track') {
    return { type: 'drop', reason: 'not_a_track', playedAt }
  }
  const trackId = idOf(track, read)
  if (trackId === null) return toRejected(item, 'missing_track_id', playedAt)
  if (playedAtText === undefined || playedAtText === null) return toRejected(item, 'missing_played_at', null)
  if (playedAt === null) return toRejected(item, 'invalid_played_at', null)
  if (playedAt > fetchedAt + futureToleranceMs) return toRejected(item, 'future_played_at', playedAt)
  return { type: 'play', playedAt, trackId, track }
}

function toRejected(item: unknown, reason: RejectReason, playedAt: number | null): Item {
  return { type: 'rejected', reason, playedAt, digest: digestOf(item, reason), trackName: trackNameOf(item) }
}

/** Type and uri of what the track was played from; null for liked songs, searches and queues. */
export function contextOf(
  item: unknown,
  read: ReadText = textOf,
): { type: string | null; uri: string | null } {
  const context = isObject(item) && isObject(item.context) ? item.context : {}
  return { type: read(context.type), uri: read(context.uri) }
}

/**
 * Tells a rejected item again in the next poll. Made of what stays the same between polls, so not of
 * popularity or markets, nor of its place on the page.
 */
export function digestOf(item: unknown, reason: RejectReason): string {
  if (!isObject(item)) return sha256(JSON.stringify([reason, scalarOf(item)]))
  const track = isObject(item.track) ? item.track : {}
  const context = contextOf(item)
  const parts = [item.played_at, track.id, track.uri, track.name].map(scalarOf)
  return sha256(JSON.stringify([reason, ...parts, context.uri]))
}

/** Objects and lists count by their type alone: they may be nested too deep to be written. */
function scalarOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? 'object' : value
}

/** The track's name for a person's eye, at most 80 characters; null when there is none. */
export function trackNameOf(item: unknown): string | null {
  if (!isObject(item) || !isObject(item.track)) return null
  const name = textOf(item.track.name)
  return name === null ? null : [...name].slice(0, 80).join('')
}

/** Unix ms of an ISO 8601 time; null for dates that do not exist and for years before 1970. */
function toTime(text: string): number | null {
  if (!isoTime.test(text)) return null
  const ms = Date.parse(text)
  if (Number.isNaN(ms) || ms < 0) return null
  const day = Number(text.slice(8, 10))
  if (day <= 28) return ms
  // V8 takes the 30th of February for the 2nd of March.
  const lastOfMonth = new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate()
  return day > lastOfMonth ? null : ms
}
