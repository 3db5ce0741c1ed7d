import type { Sql } from '../../lib/postgres.ts'
import type { AlbumRow, ArtistRow, Catalogue, FeaturesRow } from './catalogue.ts'
import { featureNames } from './catalogue.ts'
import { upsertObservations } from './observation-store.ts'
import { upsertTracks } from './track-store.ts'

/**
 * Upserts of the catalogue, a statement a table. Everywhere the newest version wins by the time of its fetch,
 * so that a replay never turns back newer facts; a field that the newest version lacks (Development Mode
 * removes some) keeps what is known of it.
 *
 * Every transaction takes tables in this order and rows in the order of their keys: two of them never wait
 * for one another in a circle.
 *
 * @param catalogue each key once, each list sorted by key
 */
export async function writeCatalogue(sql: Sql, catalogue: Catalogue): Promise<void> {
  if (catalogue.albums.length > 0) await upsertAlbums(sql, catalogue.albums)
  if (catalogue.artists.length > 0) await upsertArtists(sql, catalogue.artists)
  if (catalogue.tracks.length > 0) await upsertTracks(sql, catalogue.tracks)
  await upsertObservations(sql, 'track_popularity', catalogue.trackPopularity)
  await upsertObservations(sql, 'artist_popularity', catalogue.artistPopularity)
  await upsertObservations(sql, 'artist_followers', catalogue.artistFollowers)
  if (catalogue.features.length > 0) await upsertFeatures(sql, catalogue.features)
}

async function upsertAlbums(sql: Sql, rows: readonly AlbumRow[]): Promise<void> {
  await sql.query({
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
      where excluded.fetched_at > t.fetched_at`,
    values: [
      rows.map((r) => r.id),
      rows.map((r) => r.name),
      rows.map((r) => r.albumType),
      rows.map((r) => r.releaseDate),
      rows.map((r) => r.images),
      rows.map((r) => r.fetchedAt),
    ],
  })
}

/** Names follow `fetched_at`, genres and images `metadata_fetched_at`: a page shows the name alone. */
const upsertArtistsSql = `
  insert into artists as t
    (id, name, genres, images, metadata_status, fetched_at, metadata_fetched_at)
  select id, name,
    case when genres is not null then array(select jsonb_array_elements_text(genres::jsonb)) end,
    images::jsonb, metadata_status, to_timestamp(fetched_at / 1000), to_timestamp(metadata_fetched_at / 1000)
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[])
    as r (id, name, genres, images, metadata_status, fetched_at, metadata_fetched_at)
  on conflict (id) do update set
    name = case when excluded.fetched_at > t.fetched_at then excluded.name else t.name end,
    fetched_at = greatest(excluded.fetched_at, t.fetched_at),
    genres = case when excluded.metadata_fetched_at > coalesce(t.metadata_fetched_at, '-infinity')
      then coalesce(excluded.genres, t.genres) else t.genres end,
    images = case when excluded.metadata_fetched_at > coalesce(t.metadata_fetched_at, '-infinity')
      then coalesce(excluded.images, t.images) else t.images end,
    metadata_fetched_at = greatest(excluded.metadata_fetched_at, t.metadata_fetched_at),
    metadata_status = case when t.metadata_status = 'found' then 'found'
      else coalesce(excluded.metadata_status, t.metadata_status) end
  where excluded.fetched_at > t.fetched_at
    or excluded.metadata_fetched_at > coalesce(t.metadata_fetched_at, '-infinity')
    or (excluded.metadata_status <> coalesce(t.metadata_status, '') and t.metadata_status is distinct from 'found')`

async function upsertArtists(sql: Sql, rows: readonly ArtistRow[]): Promise<void> {
  await sql.query({
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
    ],
  })
}

async function upsertFeatures(sql: Sql, rows: readonly FeaturesRow[]): Promise<void> {
  const columns = featureNames.join(', ')
  const arrays = featureNames.map((_, i) => `$${i + 4}::float4[]`).join(', ')
  await sql.query({
    name: 'loader_audio_features',
    text: `
      insert into audio_features as t (track_id, provider, fetched_at, ${columns})
      select track_id, provider, to_timestamp(fetched_at / 1000), ${columns}
      from unnest($1::text[], $2::text[], $3::float8[], ${arrays}) as r (track_id, provider, fetched_at, ${columns})
      on conflict (track_id) do update set
        provider = excluded.provider,
        fetched_at = excluded.fetched_at,
        ${featureNames.map((name) => `${name} = excluded.${name}`).join(', ')}
      where excluded.fetched_at > t.fetched_at`,
    values: [
      rows.map((r) => r.trackId),
      rows.map((r) => r.provider),
      rows.map((r) => r.fetchedAt),
      ...featureNames.map((name) => rows.map((r) => r.values[name])),
    ],
  })
}
