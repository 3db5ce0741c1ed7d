import { fraction } from '../random.ts'

/**
 * Odd data that Spotify's answers have held, or may hold. A track oddity belongs to the track wherever it is
 * shown, a play oddity to one play on every page that shows it, so repeated items are the same byte for byte.
 */
export const trackOddities = [
  /** A NUL character inside the name; JSON escapes it, Postgres cannot hold it. */
  'nul_in_name',
  /** Half of a surrogate pair inside the name; UTF-8 cannot encode it. */
  'lone_surrogate_in_name',
  /** A name of 400 characters. */
  'long_name',
  'missing_popularity',
  'missing_external_ids',
  /** `album.images` is an empty list. */
  'empty_images',
] as const

export const artistOddities = ['missing_followers', 'missing_genres', 'empty_artist_images'] as const

export const playOddities = [
  /** `track` is null. */
  'null_track',
  /** `track.id` is null and `track.uri` starts with `spotify:local:`. */
  'local_file',
  /** A second play, of another track, in the same millisecond. */
  'same_millisecond',
  /** The same track as in the play before it. */
  'repeated_track',
  'null_context',
  'missing_played_at',
  /** `played_at` is a day ahead of the play. */
  'future_played_at',
] as const

const pageOddities = [
  /** A page of two megabytes, by an unknown field. */
  'huge_page',
  /** No items and no cursors, although there are plays. */
  'empty_page',
] as const

export type TrackOddity = (typeof trackOddities)[number]
export type ArtistOddity = (typeof artistOddities)[number]
export type PlayOddity = (typeof playOddities)[number]
export type PageOddity = (typeof pageOddities)[number]
export type Oddity = TrackOddity | ArtistOddity | PlayOddity | PageOddity

export const oddities: readonly Oddity[] = [
  ...trackOddities,
  ...artistOddities,
  ...playOddities,
  ...pageOddities,
]

/** The share of tracks, artists, plays or pages that have the oddity, each between 0 and 1. */
export type OddityShares = Partial<Record<Oddity, number>>

/**
 * The oddity that these numbers have, or null. Names are tried in order, each with its own share.
 */
export function oddityOf<Name extends Oddity>(
  names: readonly Name[],
  shares: OddityShares,
  parts: readonly number[],
): Name | null {
  for (const [place, name] of names.entries()) {
    const share = shares[name]
    if (share !== undefined && fraction(...parts, 900 + place) < share) return name
  }
  return null
}

export function isOneOf<Name extends string>(names: readonly Name[], name: string): name is Name {
  return names.some((known) => known === name)
}
