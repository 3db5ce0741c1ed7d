import type { Said } from './said.ts'

/** Whether the source knows an entity, or null if it was not asked. */
export type Finding = 'found' | 'not_found' | null

/**
 * One version of a track. With `fetchedAt` {@link unseen} only the id is known: the row exists so that the rest is
 * requested, and any version that was seen wins over it.
 */
export interface TrackRow {
  id: string
  name: string
  durationMs: Said<number>
  explicit: Said<boolean>
  isrc: Said<string>
  albumId: Said<string>
  /** In order; the first is the primary one. Undefined if the answer does not say. */
  artistIds: readonly string[] | undefined
  /** Unix time in milliseconds. */
  fetchedAt: number
  metadata: Finding
  features: Finding
}

export interface AlbumRow {
  id: string
  name: string
  albumType: Said<string>
  releaseDate: Said<string>
  /** JSON text. */
  images: Said<string>
  fetchedAt: number
}

/**
 * One version of an artist. A page or track shows only the name; then `metadataFetchedAt` is null, and genres and
 * images are undefined.
 */
export interface ArtistRow {
  id: string
  name: string
  fetchedAt: number
  genres: Said<readonly string[]>
  /** JSON text. */
  images: Said<string>
  metadata: Finding
  metadataFetchedAt: number | null
}

/** A number on one day; the last one of a day wins. */
export interface Observation {
  id: string
  /** UTC date, `2026-11-24`. */
  day: string
  value: number
  /** Unix time in milliseconds. */
  at: number
}

export const featureNames = [
  'danceability',
  'energy',
  'key',
  'loudness',
  'mode',
  'speechiness',
  'acousticness',
  'instrumentalness',
  'liveness',
  'valence',
  'tempo',
  'time_signature',
] as const

export type FeatureName = (typeof featureNames)[number]

export interface FeaturesRow {
  trackId: string
  values: Readonly<Record<FeatureName, number | undefined>>
  provider: string
  fetchedAt: number
}

/** Rows of the catalogue: each key once, each list sorted by key, the order in which rows are locked. */
export interface Catalogue {
  albums: readonly AlbumRow[]
  artists: readonly ArtistRow[]
  tracks: readonly TrackRow[]
  trackPopularity: readonly Observation[]
  artistPopularity: readonly Observation[]
  artistFollowers: readonly Observation[]
  features: readonly FeaturesRow[]
}

/** `fetchedAt` of a version with only the id. */
export const unseen = 0

/** The UTC date of a Unix time in milliseconds. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

/** Compares texts by UTF-16 units, for `sort`. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * When a version replaces the one in the table.
 *
 * - `newer`: only if it is newer; the same version again costs nothing.
 * - `repair`: also if it is the same version, read by a fixed parser.
 */
export type WriteMode = 'newer' | 'repair'
