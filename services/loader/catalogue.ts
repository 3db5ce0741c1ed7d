import type { Said } from './said.ts'

/** Whether Spotify knows an entity; null where nobody asked. */
export type Finding = 'found' | 'not_found' | null

/**
 * One version of a track. `fetchedAt` of {@link unseen} says that only the id is known: the row is made so that
 * somebody asks for the rest, and any version that was really seen wins over it.
 */
export interface TrackRow {
  id: string
  name: string
  durationMs: Said<number>
  explicit: Said<boolean>
  isrc: Said<string>
  albumId: Said<string>
  /** In order; the first is the primary one. undefined: not said. */
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
 * One version of an artist. A page or track shows the name alone; `metadataFetchedAt` is null then, and genres
 * and images say nothing.
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

/** A number as it was on one day; the last one of a day stays. */
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

/** Rows of the catalogue, each key once, each list sorted by key: the order in which rows are locked. */
export interface Catalogue {
  albums: readonly AlbumRow[]
  artists: readonly ArtistRow[]
  tracks: readonly TrackRow[]
  trackPopularity: readonly Observation[]
  artistPopularity: readonly Observation[]
  artistFollowers: readonly Observation[]
  features: readonly FeaturesRow[]
}

/** `fetchedAt` of a version of which only the id is known. */
export const unseen = 0

/** The UTC date of a Unix time in milliseconds. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

/** Order of texts by their units, for `sort`. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * How rows are written that the database has already.
 *
 * - `newer`: a version wins over an older one alone; the same one again costs nothing.
 * - `repair`: the same version, read by a mended parser, wins also over what an earlier parser made of it.
 */
export type WriteMode = 'newer' | 'repair'
