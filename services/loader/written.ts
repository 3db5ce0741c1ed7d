import { LRUCache } from 'lru-cache'
import type { AlbumRow, ArtistRow, Catalogue, Observation, TrackRow } from './catalogue.ts'
import { unseen } from './catalogue.ts'
import type { JsonObject } from './fields.ts'
import type { Version } from './versions.ts'
import { toAlbumRow, toArtistRows, toTrackRow } from './versions.ts'

interface Entry {
  /** The row's content as text. */
  form: string
  /** Newest fetch known to show this form, Unix ms. */
  seenAt: number
  /** It says nothing any more from then on: a time of `performance.now()`, which no clock moves. */
  until: number
  /** Another entry has taken its place, or it had to make room. */
  isGone: boolean
}

type Cache = LRUCache<string, Entry>

/** Rows kept of each table; about 300 bytes each. */
const maxEntries = 30_000
/** Another process may write a row in between, or the database be restored: what is known is sent again then. */
const forgetAfterMs = 15 * 60_000

/**
 * Remembers which rows of the catalogue are committed in their present form, so that a track that is played a
 * thousand times an hour costs the database a few statements. A row that was seen again unchanged keeps its
 * older `fetched_at` until it is forgotten here: which version wins stays true within one process, and between
 * processes a version that arrives late may win over an older row of the same content, until the next sending.
 */
export class Written {
  readonly #albums = openCache()
  readonly #artists = openCache()
  readonly #tracks = openCache()
  /** By day and id: pages of a few days may come by turns. */
  readonly #popularity = new LRUCache<string, Observation>({
    ...{ max: maxEntries, ttl: forgetAfterMs, ttlResolution: 1_000 },
  })
  /** What a track shows of itself, its album and its artists; lives as long as the object. */
  readonly #whole = new WeakMap<JsonObject, readonly Entry[]>()

  /** Whether all that a version shows is committed in this form; an object that was told before is told at once. */
  covers(id: string, version: Version): boolean {
    const { entity, fetchedAt } = version
    const known = this.#whole.get(entity)
    const now = performance.now()
    const whole = known?.every((entry) => isValid(entry, now)) ? known : this.#findWhole(id, version)
    if (!whole) return false
    if (whole !== known) this.#whole.set(entity, whole)
    for (const entry of whole) entry.seenAt = Math.max(entry.seenAt, fetchedAt)
    return true
  }

  #findWhole(id: string, version: Version): readonly Entry[] | null {
    if (version.fetchedAt === unseen) return null
    const album = toAlbumRow(version)
    const rows = [
      findForm(this.#tracks, toTrackRow(id, version), trackForm),
      ...(album ? [findForm(this.#albums, album, albumForm)] : []),
      ...toArtistRows(version).map((row) => findForm(this.#artists, row, artistForm)),
    ]
    const committed = rows.filter((row) => row !== null)
    return committed.length === rows.length ? committed : null
  }

  /** The rows that the database may not hold yet. Rows that say whether something was found always stay. */
  unwritten(catalogue: Catalogue): Catalogue {
    return {
      ...catalogue,
      albums: catalogue.albums.filter((row) => isNews(this.#albums, row, albumForm)),
      artists: catalogue.artists.filter((row) => row.metadata || isNews(this.#artists, row, artistForm)),
      tracks: catalogue.tracks.filter(
        (row) => row.metadata || row.features || isNews(this.#tracks, row, trackForm),
      ),
      trackPopularity: catalogue.trackPopularity.filter((seen) => {
        const key = dayKey(seen)
        const known = this.#popularity.get(key)
        if (!known) return true
        if (seen.at <= known.at) return false
        if (seen.value !== known.value) return true
        this.#popularity.set(key, seen)
        return false
      }),
    }
  }

  /** To be called after the commit. */
  remember(catalogue: Catalogue): void {
    for (const row of catalogue.albums) keep(this.#albums, row, albumForm)
    for (const row of catalogue.artists) keep(this.#artists, row, artistForm)
    for (const row of catalogue.tracks) keep(this.#tracks, row, trackForm)
    for (const seen of catalogue.trackPopularity) {
      const key = dayKey(seen)
      const known = this.#popularity.get(key)
      if (!known || known.at < seen.at) this.#popularity.set(key, seen)
    }
  }
}

function openCache(): Cache {
  const dispose = (entry: Entry) => {
    entry.isGone = true
  }
  return new LRUCache({ max: maxEntries, dispose })
}

function dayKey({ id, day }: Observation): string {
  return day + id
}

function isValid({ isGone, until }: Entry, now: number): boolean {
  return !isGone && now < until
}

/** What is known of a row that is committed; null: nothing. */
function find(cache: Cache, id: string): Entry | null {
  const entry = cache.get(id)
  return entry && isValid(entry, performance.now()) ? entry : null
}

/** @returns null when the row may not be committed in its present form */
function findForm<R extends { id: string }>(cache: Cache, row: R, formOf: (row: R) => string): Entry | null {
  const entry = find(cache, row.id)
  return entry?.form === formOf(row) ? entry : null
}

function isNews<R extends { id: string; fetchedAt: number }>(
  cache: Cache,
  row: R,
  formOf: (row: R) => string,
): boolean {
  const known = find(cache, row.id)
  if (!known) return true
  // Something newer is committed: the database would refuse this version.
  if (row.fetchedAt <= known.seenAt) return false
  if (formOf(row) !== known.form) return true
  known.seenAt = row.fetchedAt
  return false
}

function keep<R extends { id: string; fetchedAt: number }>(
  cache: Cache,
  row: R,
  formOf: (row: R) => string,
): void {
  const known = find(cache, row.id)
  if (known && known.seenAt >= row.fetchedAt) return
  cache.set(row.id, {
    ...{ form: formOf(row), seenAt: row.fetchedAt },
    ...{ until: performance.now() + forgetAfterMs, isGone: false },
  })
}

const separator = '\n'

function trackForm(row: TrackRow): string {
  const { name, durationMs, explicit, isrc, albumId, artistIds } = row
  return [name, durationMs, explicit, isrc, albumId, ...artistIds].join(separator)
}

function albumForm({ name, albumType, releaseDate, images }: AlbumRow): string {
  return [name, albumType, releaseDate, images].join(separator)
}

function artistForm({ name }: ArtistRow): string {
  return name
}
