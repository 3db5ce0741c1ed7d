import type { Sql } from '../../lib/postgres.ts'
import type { AlbumRow, TrackRow } from './catalogue.ts'

/** Times of the versions in a table (Unix ms), by id. */
export type Versions = ReadonlyMap<string, number>

export interface VersionRow {
  id: string
  fetched_at: Date
}

export function toVersions(rows: readonly VersionRow[]): Versions {
  return new Map(rows.map((row) => [row.id, row.fetched_at.getTime()]))
}

export type VersionedTable = 'albums' | 'tracks'

export async function readVersions(
  sql: Sql,
  table: VersionedTable,
  of: readonly { id: string }[],
): Promise<Versions> {
  if (of.length === 0) return new Map()
  const { rows } = await sql.query<VersionRow>({
    name: `loader_versions_${table}`,
    text: `select id, fetched_at from ${table} where id = any ($1::text[])`,
    values: [of.map(({ id }) => id)],
  })
  return toVersions(rows)
}

/** The effect of an upsert of versions. */
export interface UpsertEffect {
  /** Rows that are new or changed. */
  rows: number
  inTable: Versions
  silent: readonly Columns[]
}

/** Columns that may be null, and their fields in a row. */
const nullable = {
  tracks: { duration_ms: 'durationMs', explicit: 'explicit', isrc: 'isrc', album_id: 'albumId' },
  albums: { album_type: 'albumType', release_date: 'releaseDate', images: 'images' },
} as const satisfies { tracks: Record<string, keyof TrackRow>; albums: Record<string, keyof AlbumRow> }

/** A version and a set of the nullable columns of its row, a bit for each. */
export interface Columns {
  id: string
  fetchedAt: number
  bits: number
}

/** The columns of versions whose values match `isMeant`. */
export function columnsWhere<R extends AlbumRow | TrackRow>(
  table: VersionedTable,
  rows: readonly R[],
  isMeant: (value: unknown) => boolean,
): Columns[] {
  const fields: readonly string[] = Object.values(nullable[table])
  return rows.flatMap((row) => {
    const values = fields.map((field) => row[field as keyof R])
    const bits = values.reduce<number>((sum, v, i) => (isMeant(v) ? sum | (1 << i) : sum), 0)
    return bits === 0 ? [] : { id: row.id, fetchedAt: row.fetchedAt, bits }
  })
}

/**
 * Sets to null the columns for which versions state that there is no value, if these versions are in the table.
 *
 * @returns how many rows change
 */
export async function clearColumns<R extends AlbumRow | TrackRow>(
  sql: Sql,
  table: VersionedTable,
  rows: readonly R[],
  inTable: Versions,
): Promise<number> {
  const none = columnsWhere(table, rows, (value) => value === null)
  return setNull(
    sql,
    table,
    none.filter(({ id, fetchedAt }) => inTable.get(id) === fetchedAt),
  )
}

/** Sets columns of versions to null, if these versions are in the table. @returns how many rows change */
export async function setNull(
  sql: Sql,
  table: VersionedTable,
  versions: readonly Columns[],
): Promise<number> {
  if (versions.length === 0) return 0
  const names = Object.keys(nullable[table])
  const isSet = (i: number) => `r.bits & ${1 << i} <> 0`
  const { rowCount } = await sql.query({
    name: `loader_null_${table}`,
    text: `
      with r as (
        select * from unnest($1::text[], $2::float8[], $3::int[]) as r (id, fetched_at, bits)
      ), locked as (
        select t.id from ${table} t join r on t.id = r.id and t.fetched_at = to_timestamp(r.fetched_at / 1000)
        where ${names.map((name, i) => `${isSet(i)} and t.${name} is not null`).join(' or ')}
        order by t.id for update of t
      )
      update ${table} t set ${names.map((name, i) => `${name} = case when ${isSet(i)} then null else t.${name} end`).join(', ')}
      from r join locked on locked.id = r.id where t.id = r.id`,
    values: [versions.map((v) => v.id), versions.map((v) => v.fetchedAt), versions.map((v) => v.bits)],
  })
  return rowCount ?? 0
}

/** Facts in the table that its version does not state: they come from an earlier answer or a wrong parser. */
export async function readSilent<R extends AlbumRow | TrackRow>(
  sql: Sql,
  table: VersionedTable,
  rows: readonly R[],
  inTable: Versions,
): Promise<Columns[]> {
  const silent = columnsWhere(table, rows, (value) => value === undefined).filter(
    ({ id, fetchedAt }) => inTable.get(id) === fetchedAt,
  )
  if (silent.length === 0) return []
  const names = Object.keys(nullable[table])
  const known = names.map((name, i) => `case when t.${name} is null then 0 else ${1 << i} end`).join(' | ')
  const { rows: found } = await sql.query<{ id: string; bits: number }>({
    name: `loader_silent_${table}`,
    text: `
      select t.id, r.bits & (${known}) as bits
      from ${table} t join unnest($1::text[], $2::int[]) as r (id, bits) on t.id = r.id
      where r.bits & (${known}) <> 0`,
    values: [silent.map((v) => v.id), silent.map((v) => v.bits)],
  })
  return found.map(({ id, bits }) => ({ id, bits, fetchedAt: inTable.get(id) ?? 0 }))
}
