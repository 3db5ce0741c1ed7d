import type { AlbumRow, ArtistRow, Catalogue, Observation, TrackRow } from './catalogue.ts'
import { unseen } from './catalogue.ts'
import type { InTable } from './catalogue-store.ts'
import type { Entry } from './committed-table.ts'
import { CommittedTable } from './committed-table.ts'
import type { Freshness } from './freshness.ts'
import type { Said } from './said.ts'
import type { SeenTrack } from './seen-track.ts'
import type { Sightings } from './sightings.ts'
import type { TrackVersion } from './versions.ts'
import { toAlbumRow, toArtistRows, toTrackRow } from './versions.ts'

/**
 * Remembers which rows of the catalogue are committed in their present form, so that a track that is played a
 * thousand times an hour costs the database a few statements. A row that was seen again unchanged keeps its
 * older `fetched_at` until it is forgotten here: which version wins stays true within one process, and between
 * processes a version that arrives late may win over an older row of the same content, until the next sending.
 */
export class CommittedRows {
  readonly albums: CommittedTable<AlbumRow>
  readonly artists: CommittedTable<ArtistRow>
  readonly tracks: CommittedTable<TrackRow>
  /** By day and id: pages of a few days may come by turns. */
  readonly popularity: CommittedTable<DatedRow>
  /** What a track shows of itself, its album and its artists; lives as long as the object. */
  readonly #whole = new WeakMap<SeenTrack, readonly Entry[]>()

  constructor(freshness: Freshness) {
    this.albums = new CommittedTable(albumForm, freshness)
    this.artists = new CommittedTable(({ name }) => name, freshness)
    this.tracks = new CommittedTable(trackForm, freshness)
    this.popularity = new CommittedTable(({ value }) => String(value), freshness)
  }

  /** All that a version shows, where it is committed in this form; an object that was found before is found at once. */
  find(version: TrackVersion): readonly Entry[] | null {
    const known = this.#whole.get(version.track)
    const now = performance.now()
    const whole = known?.every((entry) => this.tracks.isValid(entry, now)) ? known : this.#findWhole(version)
    if (whole && whole !== known) this.#whole.set(version.track, whole)
    return whole
  }

  #findWhole(version: TrackVersion): readonly Entry[] | null {
    if (version.fetchedAt === unseen) return null
    const album = toAlbumRow(version)
    const rows = [
      this.tracks.findForm(toTrackRow(version)),
      ...(album ? [this.albums.findForm(album)] : []),
      ...toArtistRows(version).map((row) => this.artists.findForm(row)),
    ]
    const committed = rows.filter((row) => row !== null)
    return committed.length === rows.length ? committed : null
  }

  /** Forgets all rows, also those that are on their way. */
  forget(): void {
    for (const table of [this.albums, this.artists, this.tracks, this.popularity]) table.forget()
  }
}

/**
 * The rows of one batch against what is committed. Asking changes nothing of what is remembered: {@link commit} does,
 * once the transaction is.
 */
export class BatchRows {
  readonly #rows: CommittedRows
  /** Entries that the batch goes by, and the time of the version that did. */
  readonly #relied: (readonly [entries: readonly Entry[], fetchedAt: number])[] = []
  #sent: Catalogue | null = null

  constructor(rows: CommittedRows) {
    this.#rows = rows
  }

  /** The rows that the database may not hold yet. Rows that say whether something was found always stay. */
  unwritten(seen: Sightings): Catalogue {
    const { albums, artists, tracks, popularity } = this.#rows
    const catalogue = seen.toCatalogue((version) => this.#rely(this.#rows.find(version), version.fetchedAt))
    const sent = {
      ...catalogue,
      albums: catalogue.albums.filter((row) => this.#isNews(albums, row)),
      artists: catalogue.artists.filter((row) => row.metadata || this.#isNews(artists, row)),
      tracks: catalogue.tracks.filter((row) => row.metadata || row.features || this.#isNews(tracks, row)),
      trackPopularity: catalogue.trackPopularity.filter((seen) => this.#isNews(popularity, toDated(seen))),
    }
    for (const row of sent.albums) albums.begin(row)
    for (const row of sent.artists) artists.begin(row)
    for (const row of sent.tracks) tracks.begin(row)
    for (const row of sent.trackPopularity) popularity.begin(toDated(row))
    this.#sent = sent
    return sent
  }

  /** @param inTable the versions that the transaction has put into the tables */
  commit(inTable: InTable): void {
    for (const [entries, fetchedAt] of this.#relied) {
      for (const entry of entries) entry.seenAt = Math.max(entry.seenAt, fetchedAt)
    }
    this.#settle(inTable, (row) => row.at)
  }

  /** What the batch was about to write was not written, or nobody knows. */
  leave(): void {
    const nothing = new Map<string, number>()
    this.#settle({ albums: nothing, artists: nothing, tracks: nothing }, () => undefined)
  }

  #settle(inTable: InTable, observedAt: (row: Observation) => number | undefined): void {
    const { albums, artists, tracks, popularity } = this.#rows
    for (const row of this.#sent?.albums ?? []) albums.settle(row, inTable.albums.get(row.id))
    for (const row of this.#sent?.artists ?? []) artists.settle(row, inTable.artists.get(row.id))
    for (const row of this.#sent?.tracks ?? []) tracks.settle(row, inTable.tracks.get(row.id))
    for (const row of this.#sent?.trackPopularity ?? []) popularity.settle(toDated(row), observedAt(row))
  }

  #isNews<R extends { id: string; fetchedAt: number }>(table: CommittedTable<R>, row: R): boolean {
    const known = table.find(row.id)
    if (!known) return true
    // Something newer is committed, or about to be: the database would refuse this version.
    if (row.fetchedAt <= Math.max(known.seenAt, known.reliedAt)) return false
    return !(table.hasForm(known, row) && this.#rely([known], row.fetchedAt))
  }

  /** Notes that the batch goes by what is committed. @returns whether it can */
  #rely(entries: readonly Entry[] | null, fetchedAt: number): boolean {
    if (!entries) return false
    this.#relied.push([entries, fetchedAt])
    for (const entry of entries) entry.reliedAt = Math.max(entry.reliedAt, fetchedAt)
    return true
  }
}

/** A number of a day, as a row that a table of this kind knows by its id. */
interface DatedRow {
  id: string
  value: number
  fetchedAt: number
}

function toDated({ id, day, value, at }: Observation): DatedRow {
  return { id: day + id, value, fetchedAt: at }
}

const separator = '\n'
/** No text that is stored holds it. */
const none = '\0'

function toForm(values: readonly Said<string | number | boolean>[]): string {
  return values.map((value) => (value === null ? none : value)).join(separator)
}

function trackForm({ name, durationMs, explicit, isrc, albumId, artistIds }: TrackRow): string {
  return toForm([name, durationMs, explicit, isrc, albumId, artistIds?.length, ...(artistIds ?? [])])
}

function albumForm({ name, albumType, releaseDate, images }: AlbumRow): string {
  return toForm([name, albumType, releaseDate, images])
}
