import type { Sql } from '../../lib/postgres.ts'
import type { AlbumRow, ArtistRow, Catalogue, FeaturesRow, WriteMode } from './catalogue.ts'
import { featureNames } from './catalogue.ts'
import { upsertObservations } from './observation-store.ts'
import { upsertTracks } from './track-store.ts'
import type { Columns, UpsertEffect, VersionRow, Versions } from './version-store.ts'
import { clearColumns, readSilent, readVersions, toVersions } from './version-store.ts'

/** Times of versions that a transaction has put into tables (Unix ms), by id. */
export interface InTable {
  albums: Versions
  artists: Versions
  tracks: Versions
}

export interface CatalogueEffect {
  /** Rows that are new or changed. */
  rows: number
  inTable: InTable
  /** Of a repair: facts in the tables that the stored version does not state. */
  silent: Silent
}

export interface Silent {
  albums: readonly Columns[]
  tracks: readonly Columns[]
}

/**
 * Upserts the catalogue. In every table the version fetched last wins, so that a replay never overwrites newer facts.
 * A field that the newest version lacks (Development Mode removes some) keeps its value.
 *
 * @param catalogue each key once, each list sorted by key
 */
export async function writeCatalogue(
  sql: Sql,
  catalogue: Catalogue,
  mode: WriteMode,
): Promise<CatalogueEffect> {
  const albums = await upsertAlbums(sql, catalogue.albums, mode)
  const artists = await upsertArtists(sql, catalogue.artists, mode)
  const tracks = await upsertTracks(sql, catalogue.tracks, mode)
  const others = [
    await upsertObservations(sql, { table: 'track_popularity', mode }, catalogue.trackPopularity),
    await upsertObservations(sql, { table: 'artist_popularity', mode }, catalogue.artistPopularity),
    await upsertObservations(sql, { table: 'artist_followers', mode }, catalogue.artistFollowers),
    await upsertFeatures(sql, catalogue.features, mode),
  ]
  const rows = [albums.rows, artists.size, tracks.rows, ...others].reduce((sum, n) => sum + n, 0)
  return {
    rows,
    inTable: { albums: albums.inTable, artists, tracks: tracks.inTable },
    silent: { albums: albums.silent, tracks: tracks.silent },
  }
}

async function upsertAlbums(sql: Sql, albums: readonly AlbumRow[], mode: WriteMode): Promise<UpsertEffect> {
  const written = await upsertAlbumVersions(sql, albums, mode)
  const inTable = mode === 'repair' ? await readVersions(sql, 'albums', albums) : written
  const cleared = await clearColumns(sql, 'albums', albums, inTable)
  const silent = mode === 'repair' ? await readSilent(sql, 'albums', albums, inTable) : []
  return { rows: written.size + cleared, inTable: written, silent }
}

async function upsertAlbumVersions(sql: Sql, rows: readonly AlbumRow[], mode: WriteMode): Promise<Versions> {
  if (rows.length === 0) return new Map()
  const { rows: written } = await sql.query<VersionRow>({
    name: 'loader_albums',
    text: `
      insert into albums as t (id, name, album_type, release_date, images, fetched_at)
      select id, name, album_type, release_date, images::jsonb, to_timestamp(fetched_at / 1000)
      from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[])
        as r (id, name, album_type, release_date, images, fetched_at)
      on conflict (id) do update set
        name = excluded.name,
        album_type = coalesce(excluded.album_type, t.album_type),
        release_date = coalesce(excluded.release_date, t.release_date),
        images = coalesce(excluded.images, t.images),
        fetched_at = excluded.fetched_at
      where excluded.fetched_at > t.fetched_at
        or ($7::boolean and excluded.fetched_at = t.fetched_at
          and (excluded.name, coalesce(excluded.album_type, t.album_type),
              coalesce(excluded.release_date, t.release_date), coalesce(excluded.images, t.images))
            is distinct from (t.name, t.album_type, t.release_date, t.images))
      returning id, fetched_at`,
    values: [
      rows.map((r) => r.id),
      rows.map((r) => r.name),
      rows.map((r) => r.albumType),
      rows.map((r) => r.releaseDate),
      rows.map((r) => r.images),
      rows.map((r) => r.fetchedAt),
      mode === 'repair',
    ],
  })
  return toVersions(written)
}

/** Names follow `fetched_at`; genres and images follow `metadata_fetched_at`, because a page shows only the name. */
const upsertArtistsSql = `
  insert into artists as t
    (id, name, genres, images, metadata_status, fetched_at, metadata_fetched_at)
  select id, name,
    case when genres is not null then array(select jsonb_array_elements_text(genres::jsonb)) end,
    images::jsonb, metadata_status, to_timestamp(fetched_at / 1000), to_timestamp(metadata_fetched_at / 1000)
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[])
    as r (id, name, genres, images, metadata_status, fetched_at, metadata_fetched_at)
  on conflict (id) do update set
    name = case when excluded.fetched_at > t.fetched_at or ($8::boolean and excluded.fetched_at = t.fetched_at)
      then excluded.name else t.name end,
    fetched_at = greatest(excluded.fetched_at, t.fetched_at),
    genres = case when excluded.metadata_fetched_at > coalesce(t.metadata_fetched_at, '-infinity')
        or ($8::boolean and excluded.metadata_fetched_at = t.metadata_fetched_at)
      then coalesce(excluded.genres, t.genres) else t.genres end,
    images = case when excluded.metadata_fetched_at > coalesce(t.metadata_fetched_at, '-infinity')
        or ($8::boolean and excluded.metadata_fetched_at = t.metadata_fetched_at)
      then coalesce(excluded.images, t.images) else t.images end,
    metadata_fetched_at = greatest(excluded.metadata_fetched_at, t.metadata_fetched_at),
    metadata_status = case when t.metadata_status = 'found' then 'found'
      else coalesce(excluded.metadata_status, t.metadata_status) end
  where excluded.fetched_at > t.fetched_at
    or excluded.metadata_fetched_at > coalesce(t.metadata_fetched_at, '-infinity')
    or (excluded.metadata_status <> coalesce(t.metadata_status, '') and t.metadata_status is distinct from 'found')
    or ($8::boolean and excluded.fetched_at = t.fetched_at and excluded.name <> t.name)
    or ($8::boolean and excluded.metadata_fetched_at = t.metadata_fetched_at
      and (coalesce(excluded.genres, t.genres), coalesce(excluded.images, t.images))
        is distinct from (t.genres, t.images))
  returning id, fetched_at`

async function upsertArtists(sql: Sql, rows: readonly ArtistRow[], mode: WriteMode): Promise<Versions> {
  if (rows.length === 0) return new Map()
  const { rows: written } = await sql.query<VersionRow>({
    name: 'loader_artists',
    text: upsertArtistsSql,
    values: [
      rows.map((r) => r.id),
      rows.map((r) => r.name),
      rows.map((r) => r.genres && JSON.stringify(r.genres)),
      rows.map((r) => r.images),
      rows.map((r) => r.metadata),
      rows.map((r) => r.fetchedAt),
      rows.map((r) => r.metadataFetchedAt),
      mode === 'repair',
    ],
  })
  return toVersions(written)
}

/** A provider may leave out features; values of an earlier answer stay. */
async function upsertFeatures(sql: Sql, rows: readonly FeaturesRow[], mode: WriteMode): Promise<number> {
  if (rows.length === 0) return 0
  const columns = featureNames.join(', ')
  const arrays = featureNames.map((_, i) => `$${i + 5}::float4[]`).join(', ')
  const merged = featureNames.map((name) => `coalesce(excluded.${name}, t.${name})`)
  const known = featureNames.map((name) => `t.${name}`).join(', ')
  const { rowCount } = await sql.query({
    name: 'loader_audio_features',
    text: `
      insert into audio_features as t (track_id, provider, fetched_at, ${columns})
      select track_id, provider, to_timestamp(fetched_at / 1000), ${columns}
      from unnest($2::text[], $3::text[], $4::float8[], ${arrays}) as r (track_id, provider, fetched_at, ${columns})
      on conflict (track_id) do update set
        provider = excluded.provider,
        fetched_at = excluded.fetched_at,
        ${featureNames.map((name, i) => `${name} = ${merged[i]}`).join(', ')}
      where excluded.fetched_at > t.fetched_at
        or ($1::boolean and excluded.fetched_at = t.fetched_at
          and (excluded.provider, ${merged.join(', ')}) is distinct from (t.provider, ${known}))`,
    values: [
      mode === 'repair',
      rows.map((r) => r.trackId),
      rows.map((r) => r.provider),
      rows.map((r) => r.fetchedAt),
      ...featureNames.map((name) => rows.map((r) => r.values[name] ?? null)),
    ],
  })
  return rowCount ?? 0
}
