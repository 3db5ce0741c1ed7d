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
 * thousand times an hour costs the database a few statements. A row seen again unchanged is not sent, so the table
 * keeps its older `fetched_at` until the row is forgotten here. Within a process the newest version still wins. A
 * version that another process loads late may win over the row until it is sent again.
 */
export class CommittedRows {
  readonly albums: CommittedTable<AlbumRow>
  readonly artists: CommittedTable<ArtistRow>
  readonly tracks: CommittedTable<TrackRow>
  /** By day and id, because pages of several days may alternate. */
  readonly popularity: CommittedTable<DatedRow>
  /** The entries of a track, its album and its artists, for as long as the object lives. */
  readonly #whole = new WeakMap<SeenTrack, readonly Entry[]>()

  constructor(freshness: Freshness) {
    this.albums = new CommittedTable(albumForm, freshness)
    this.artists = new CommittedTable(({ name }) => name, freshness)
    this.tracks = new CommittedTable(trackForm, freshness)
    this.popularity = new CommittedTable(({ value }) => String(value), freshness)
  }

  /** The entries of all rows of a version, or null unless all are committed in this form. */
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

  /** Forgets all rows, also those being written. */
  forget(): void {
    for (const table of [this.albums, this.artists, this.tracks, this.popularity]) table.forget()
  }
}

/**
 * Compares the rows of one batch with what is committed. Call {@link commit} after the transaction, or {@link leave}.
 */
export class BatchRows {
  readonly #rows: CommittedRows
  /** Entries that the batch relies on, and the time of the version that relies on them. */
  readonly #relied: (readonly [entries: readonly Entry[], fetchedAt: number])[] = []
  #sent: Catalogue | null = null

  constructor(rows: CommittedRows) {
    this.#rows = rows
  }

  /** The rows that the database may not hold yet. Rows with a finding are always among them. */
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

  /** @param inTable the versions that the transaction has written to the tables */
  commit(inTable: InTable): void {
    for (const [entries, fetchedAt] of this.#relied) {
      for (const entry of entries) entry.seenAt = Math.max(entry.seenAt, fetchedAt)
    }
    this.#settle(inTable, (row) => row.at)
  }

  /** The rows of the batch were not written, or it is not known whether they were. */
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
    // A newer version is committed or about to be: the database would refuse this one.
    if (row.fetchedAt <= Math.max(known.seenAt, known.reliedAt)) return false
    return !(table.hasForm(known, row) && this.#rely([known], row.fetchedAt))
  }

  /** Notes that the batch relies on committed rows. @returns false if there are none */
  #rely(entries: readonly Entry[] | null, fetchedAt: number): boolean {
    if (!entries) return false
    this.#relied.push([entries, fetchedAt])
    for (const entry of entries) entry.reliedAt = Math.max(entry.reliedAt, fetchedAt)
    return true
  }
}

/** A number of a day, as a row whose id holds the day. */
interface DatedRow {
  id: string
  value: number
  fetchedAt: number
}

function toDated({ id, day, value, at }: Observation): DatedRow {
  return { id: day + id, value, fetchedAt: at }
}

const separator = '\n'
/** No stored text contains it. */
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
