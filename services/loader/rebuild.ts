import type { Sql } from '../../lib/postgres.ts'
import type { AlbumRow, Catalogue, TrackRow } from './catalogue.ts'
import type { Silent } from './catalogue-store.ts'
import type { Columns, VersionedTable } from './version-store.ts'
import { columnsWhere, setNull } from './version-store.ts'

/**
 * Finds facts in the tables that no version states. A rebuild reads pages from the first record on and sees every
 * version, so a wrong parser must have written such facts. A partial replay cannot know this.
 */
export class Rebuild {
  /** Columns for which any version has stated a value, by id. */
  readonly #said = { albums: new Map<string, number>(), tracks: new Map<string, number>() }
  readonly #silent = { albums: new Map<string, Columns>(), tracks: new Map<string, Columns>() }

  /** @param catalogue of one batch @param silent what the batch could not judge */
  note(catalogue: Pick<Catalogue, 'albums' | 'tracks'>, silent: Silent): void {
    this.#noteSaid('albums', catalogue.albums)
    this.#noteSaid('tracks', catalogue.tracks)
    for (const album of silent.albums) this.#silent.albums.set(album.id, album)
    for (const track of silent.tracks) this.#silent.tracks.set(track.id, track)
  }

  /**
   * Sets to null what no version has stated; call it when all pages are read. Tracks that were looked up, and their
   * albums, do not change, because the topic of answers states facts about them too.
   *
   * @returns how many facts were judged, and how many rows changed
   */
  async finish(sql: Sql): Promise<{ judged: number; rows: number }> {
    const tracks = await this.#unsaid(sql, 'tracks', "t.metadata_status = 'found'")
    const albums = await this.#unsaid(
      sql,
      'albums',
      "exists (select from tracks k where k.album_id = t.id and k.metadata_status = 'found')",
    )
    const rows = (await setNull(sql, 'albums', albums)) + (await setNull(sql, 'tracks', tracks))
    const count = (of: readonly Columns[]) => of.reduce((sum, { bits }) => sum + countBits(bits), 0)
    return { judged: count(albums) + count(tracks), rows }
  }

  #noteSaid<R extends AlbumRow | TrackRow>(table: VersionedTable, rows: readonly R[]): void {
    const said = this.#said[table]
    for (const { id, bits } of columnsWhere(table, rows, (value) => value != null)) {
      said.set(id, (said.get(id) ?? 0) | bits)
    }
  }

  async #unsaid(sql: Sql, table: VersionedTable, isToldElsewhere: string): Promise<Columns[]> {
    const said = this.#said[table]
    const unsaid = [...this.#silent[table].values()]
      .map(({ bits, ...version }) => ({ ...version, bits: bits & ~(said.get(version.id) ?? 0) }))
      .filter(({ bits }) => bits !== 0)
    const { rows } = await sql.query<{ id: string }>(
      `select t.id from ${table} t where t.id = any ($1::text[]) and not coalesce(${isToldElsewhere}, false)`,
      [unsaid.map(({ id }) => id)],
    )
    const ids = new Set(rows.map(({ id }) => id))
    return unsaid.filter(({ id }) => ids.has(id))
  }
}

export function countBits(bits: number): number {
  return bits.toString(2).replaceAll('0', '').length
}
