/**
 * What an answer says of a field: a value; null, where it says that there is none; undefined, where it says nothing,
 * and what is known stays.
 */
export type Said<T> = T | null | undefined

/** `keep`: the answer says nothing, what is known stays. `none`: the answer says that there is none. */
type Meaning = 'keep' | 'none'

/** What it means that a field is absent, null, or empty (`""`, `[]`, `{}`). A value of another type counts as absent. */
export interface Meanings {
  absent: 'keep'
  null: Meaning
  empty: Meaning
}

/** Spotify empties a name when it withdraws a track; a null here is a fault of the answer. */
const essential: Meanings = { absent: 'keep', null: 'keep', empty: 'keep' }
const scalar: Meanings = { absent: 'keep', null: 'none', empty: 'none' }
/** Spotify's lists are never null. */
const list: Meanings = { absent: 'keep', null: 'keep', empty: 'none' }
/** An object that holds fields of this table, which speak for themselves. */
const holder: Meanings = { absent: 'keep', null: 'keep', empty: 'keep' }
/** A provider that cannot tell a feature leaves it out or says null. */
const measured: Meanings = { absent: 'keep', null: 'keep', empty: 'keep' }

/** Every field of an answer that is stored and may be missing from it. Absent is never empty. */
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
 * @param read gives null for what is not of the field's type
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

/** The newer of two rows, with what only the older one says. */
export function fill<R extends object>(newer: R, older: R): R {
  const gaps = Object.entries(older).filter(([field]) => newer[field as keyof R] === undefined)
  return gaps.length === 0 ? newer : { ...newer, ...Object.fromEntries(gaps) }
}
