/**
 * What an answer states about a field: a value, null if it states that there is none, or undefined if it states
 * nothing and the known value stays.
 */
export type Said<T> = T | null | undefined

/** `keep`: the answer states nothing, the known value stays. `none`: the answer states that there is none. */
type Meaning = 'keep' | 'none'

/** The meaning of an absent, null or empty (`""`, `[]`, `{}`) field. A value of another type counts as absent. */
export interface Meanings {
  absent: 'keep'
  null: Meaning
  empty: Meaning
}

/** Spotify empties the name of a withdrawn track; a null is a fault of the answer. */
const essential: Meanings = { absent: 'keep', null: 'keep', empty: 'keep' }
const scalar: Meanings = { absent: 'keep', null: 'none', empty: 'none' }
/** Spotify's lists are never null. */
const list: Meanings = { absent: 'keep', null: 'keep', empty: 'none' }
/** An object that holds fields with lines of their own in this table. */
const holder: Meanings = { absent: 'keep', null: 'keep', empty: 'keep' }
/** A source that does not know a number leaves it out or sends null. */
const measured: Meanings = { absent: 'keep', null: 'keep', empty: 'keep' }

/** Every stored field that may be missing from an answer. An absent field never counts as empty. */
export const meanings = {
  track: {
    name: essential,
    duration_ms: scalar,
    explicit: scalar,
    external_ids: holder,
    'external_ids.isrc': scalar,
    album: { absent: 'keep', null: 'none', empty: 'keep' },
    'album.id': scalar,
    artists: list,
    popularity: measured,
  },
  album: { name: essential, album_type: scalar, release_date: scalar, images: list },
  artist: { name: essential, genres: list, images: list, followers: holder, popularity: measured },
  audioFeatures: { feature: measured },
} as const satisfies Record<string, Record<string, Meanings>>

/**
 * Reads a field by its line of the table.
 *
 * @param read returns null for a value of another type
 */
export function said<T>(meaning: Meanings, value: unknown, read: (value: unknown) => T | null): Said<T> {
  if (value === undefined) return undefined
  if (value === null) return toSaid(meaning.null)
  if (value === '') return toSaid(meaning.empty)
  return read(value) ?? undefined
}

function toSaid(meaning: Meaning): null | undefined {
  return meaning === 'none' ? null : undefined
}

/** The newer of two rows, completed with what only the older one states. */
export function fill<R extends object>(newer: R, older: R): R {
  const gaps = Object.entries(older).filter(([field]) => newer[field as keyof R] === undefined)
  return gaps.length === 0 ? newer : { ...newer, ...Object.fromEntries(gaps) }
}
