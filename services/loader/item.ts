import type { JsonObject, ReadText } from './fields.ts'
import { idOf, isObject, maxIdLength, sha256, textOf } from './fields.ts'
import type { SeenTrack } from './seen-track.ts'
import { toSeenTrack } from './seen-track.ts'

/** Valid items that are not plays of tracks: they are dropped and counted by name. */
const dropReasons = {
  null_track: 'The track is null: Spotify knows that something was played, not what.',
  not_a_track: 'The item is an episode or a chapter.',
  erased_user: 'The user was erased: nothing of theirs is kept.',
} as const

/** Why an item is rejected: the page is dead-lettered for it, its other items are stored. */
const rejections = {
  invalid_item: 'The item is no object.',
  missing_track: 'The item has no track.',
  missing_track_id: 'The track has neither an id nor a uri.',
  missing_played_at: 'The item does not say when it was played.',
  invalid_played_at: 'played_at is no time of 1970 or later.',
  future_played_at: 'played_at is more than a day after the page was fetched.',
} as const

export type DropReason = keyof typeof dropReasons
export type RejectReason = keyof typeof rejections

export const rejectReasons = Object.keys(rejections) as RejectReason[]

/** Type and uri of the place a track was played from; both are null for liked songs, searches and queues. */
interface Context {
  type: string | null
  uri: string | null
}

/** The result of reading an item's track. */
export type TrackReading =
  | { type: 'track'; track: SeenTrack; key: string }
  | { type: 'drop'; reason: 'null_track' | 'not_a_track' }
  | { type: 'rejected'; reason: 'missing_track' | 'missing_track_id' }

/** How the parts of an item are read. */
export interface ItemReading {
  text: ReadText
  track: (value: unknown) => TrackReading
}

/** `playedAt` is in Unix ms, or null if the item has no valid time. */
export type Item =
  /** `key` is {@link keyOf} its track. */
  | { type: 'play'; playedAt: number; track: SeenTrack; key: string; context: Context }
  | { type: 'drop'; reason: DropReason; playedAt: number | null }
  /** `digest` identifies the item in later polls. */
  | {
      type: 'rejected'
      reason: RejectReason
      playedAt: number | null
      digest: string
      trackName: string | null
    }

/**
 * How far ahead of the fetch a play may be. An offline device stamps plays with its own clock, and ours may be slow.
 * Within a day the play is stored under the time that Spotify gives it, which stays its key. A time beyond that is
 * rejected.
 */
export const futureToleranceMs = 24 * 60 * 60_000

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

const plainReading: ItemReading = { text: textOf, track: (value) => readTrack(value, textOf) }

/**
 * Decides what one item of a page is.
 *
 * @param latest a time that had surely passed when the page was fetched, or has by now; Unix ms
 */
export function toItem(item: unknown, latest: number, reading: ItemReading = plainReading): Item {
  if (!isObject(item)) return toRejected(item, 'invalid_item', null)
  const { played_at: playedAtText } = item
  const playedAt = typeof playedAtText === 'string' ? toTime(playedAtText) : null
  const read = reading.track(item.track)
  if (read.type === 'drop') return { ...read, playedAt }
  if (read.type === 'rejected') return toRejected(item, read.reason, playedAt)
  if (playedAtText === undefined || playedAtText === null) return toRejected(item, 'missing_played_at', null)
  if (playedAt === null) return toRejected(item, 'invalid_played_at', null)
  if (playedAt > latest + futureToleranceMs) return toRejected(item, 'future_played_at', playedAt)
  return { type: 'play', playedAt, track: read.track, key: read.key, context: contextOf(item, reading.text) }
}

/** Reads the track of an item. */
export function readTrack(track: unknown, read: ReadText): TrackReading {
  if (track === null) return { type: 'drop', reason: 'null_track' }
  if (!isObject(track)) return { type: 'rejected', reason: 'missing_track' }
  if (typeof track.type === 'string' && track.type !== 'track') return { type: 'drop', reason: 'not_a_track' }
  const id = idOf(track, read)
  if (id === null) return { type: 'rejected', reason: 'missing_track_id' }
  return { type: 'track', track: toSeenTrack(id, track, read), key: keyOf(track, read) }
}

/**
 * Spotify's own key of a track, which identifies an item on other pages. `shown_windows` stores such keys, so this
 * function must not change when {@link idOf} does.
 */
function keyOf(track: JsonObject, read: ReadText): string {
  const text = read(track.id) || read(track.uri) || ''
  return text.length <= maxIdLength ? text : `${text.slice(0, 200).toWellFormed()}:sha256:${sha256(text)}`
}

function toRejected(item: unknown, reason: RejectReason, playedAt: number | null): Item {
  return { type: 'rejected', reason, playedAt, digest: digestOf(item, reason), trackName: trackNameOf(item) }
}

function contextOf({ context }: JsonObject, read: ReadText): Context {
  const { type, uri } = isObject(context) ? context : {}
  return { type: read(type), uri: read(uri) }
}

/**
 * Identifies a rejected item in later polls. It covers what stays the same between polls: not popularity or
 * markets, nor the place on the page.
 */
export function digestOf(item: unknown, reason: RejectReason): string {
  if (!isObject(item)) return sha256(JSON.stringify([reason, scalarOf(item)]))
  const track = isObject(item.track) ? item.track : {}
  const context = contextOf(item, textOf)
  const parts = [item.played_at, track.id, track.uri, track.name].map(scalarOf)
  return sha256(JSON.stringify([reason, ...parts, context.uri]))
}

/** Objects and lists count by type only: they may be nested too deep for JSON.stringify. */
function scalarOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? 'object' : value
}

/** The track's name for display, at most 80 characters, or null if it has none. */
function trackNameOf(item: unknown): string | null {
  if (!isObject(item) || !isObject(item.track)) return null
  const name = textOf(item.track.name)
  return name === null ? null : [...name].slice(0, 80).join('')
}

/** Unix ms of an ISO 8601 time, or null for dates that do not exist or are before 1970. */
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
