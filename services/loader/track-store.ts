import type { Sql } from '../../lib/postgres.ts'
import type { TrackRow } from './catalogue.ts'
import { unseen } from './catalogue.ts'

/** Upserts tracks with their artists; which version wins is said at {@link writeCatalogue}. */
export async function upsertTracks(sql: Sql, rows: readonly TrackRow[]): Promise<void> {
  const won = await upsertVersions(sql, rows)
  if (won.length > 0) await replaceArtists(sql, won)
}

const upsertVersionsSql = `
  insert into tracks as t
    (id, name, duration_ms, explicit, isrc, album_id, fetched_at, metadata_status, features_status)
  select id, name, duration_ms, explicit, isrc, album_id, to_timestamp(fetched_at / 1000), metadata, features
  from unnest($1::text[], $2::text[], $3::int[], $4::boolean[], $5::text[], $6::text[], $7::float8[],
      $8::text[], $9::text[])
    as r (id, name, duration_ms, explicit, isrc, album_id, fetched_at, metadata, features)
  on conflict (id) do update set
    name = case when excluded.fetched_at > t.fetched_at then excluded.name else t.name end,
    duration_ms = case when excluded.fetched_at > t.fetched_at
      then coalesce(excluded.duration_ms, t.duration_ms) else t.duration_ms end,
    explicit = case when excluded.fetched_at > t.fetched_at
      then coalesce(excluded.explicit, t.explicit) else t.explicit end,
    isrc = case when excluded.fetched_at > t.fetched_at
      then coalesce(excluded.isrc, t.isrc) else t.isrc end,
    album_id = case when excluded.fetched_at > t.fetched_at
      then coalesce(excluded.album_id, t.album_id) else t.album_id end,
    fetched_at = greatest(excluded.fetched_at, t.fetched_at),
    metadata_status = case when t.metadata_status = 'found' then 'found'
      else coalesce(excluded.metadata_status, t.metadata_status) end,
    features_status = case when t.features_status = 'found' then 'found'
      else coalesce(excluded.features_status, t.features_status) end
  where excluded.fetched_at > t.fetched_at
    or (excluded.metadata_status <> coalesce(t.metadata_status, '') and t.metadata_status is distinct from 'found')
    or (excluded.features_status <> coalesce(t.features_status, '') and t.features_status is distinct from 'found')
  returning id, fetched_at`

/** @returns the versions that are in the table now, as they were newer than what was there */
async function upsertVersions(sql: Sql, rows: readonly TrackRow[]): Promise<TrackRow[]> {
  const { rows: touched } = await sql.query<{ id: string; fetched_at: Date }>({
    name: 'loader_tracks',
    text: upsertVersionsSql,
    values: [
      rows.map((r) => r.id),
      rows.map((r) => r.name),
      rows.map((r) => r.durationMs),
      rows.map((r) => r.explicit),
      rows.map((r) => r.isrc),
      rows.map((r) => r.albumId),
      rows.map((r) => r.fetchedAt),
      rows.map((r) => r.metadata),
      rows.map((r) => r.features),
    ],
  })
  const inTable = new Map(touched.map((row) => [row.id, row.fetched_at.getTime()]))
  return rows.filter((row) => row.fetchedAt !== unseen && inTable.get(row.id) === row.fetchedAt)
}

/**
 * Makes the artists of tracks those of the versions that won, also where they are fewer than before. The rows
 * of these tracks are locked by this transaction, so nobody else replaces their artists meanwhile.
 */
async function replaceArtists(sql: Sql, tracks: readonly TrackRow[]): Promise<void> {
  const rows = tracks.flatMap((track) =>
    track.artistIds.map((artistId, position) => ({ trackId: track.id, position, artistId })),
  )
  await sql.query({
    name: 'loader_track_artists',
    text: `
      with surplus as (
        delete from track_artists a using unnest($4::text[], $5::int[]) as r (track_id, artists)
        where a.track_id = r.track_id and a.position >= r.artists
      )
      insert into track_artists as t (track_id, position, artist_id)
      select * from unnest($1::text[], $2::int[], $3::text[])
      on conflict (track_id, position) do update set artist_id = excluded.artist_id
      where excluded.artist_id <> t.artist_id`,
    values: [
      rows.map((r) => r.trackId),
      rows.map((r) => r.position),
      rows.map((r) => r.artistId),
      tracks.map((t) => t.id),
      tracks.map((t) => t.artistIds.length),
    ],
  })
}
