import type { Sql } from '../../lib/postgres.ts'
import type { TrackRow, WriteMode } from './catalogue.ts'
import { unseen } from './catalogue.ts'
import type { UpsertEffect, VersionRow, Versions } from './version-store.ts'
import { clearColumns, readSilent, readVersions, toVersions } from './version-store.ts'

/** Upserts tracks with their artists; {@link writeCatalogue} describes which version wins. */
export async function upsertTracks(
  sql: Sql,
  rows: readonly TrackRow[],
  mode: WriteMode,
): Promise<UpsertEffect> {
  const touched = await upsertVersions(sql, rows, mode)
  // A track may be right and its artists wrong: a repair checks the artists of every version in the table.
  const inTable = mode === 'repair' ? await readVersions(sql, 'tracks', rows) : touched
  const won = rows.filter((row) => row.fetchedAt !== unseen && inTable.get(row.id) === row.fetchedAt)
  const cleared = await clearColumns(sql, 'tracks', won, inTable)
  const artists = await replaceArtists(sql, won)
  const repaired = mode === 'repair' ? artists : 0
  const silent = mode === 'repair' ? await readSilent(sql, 'tracks', won, inTable) : []
  return { rows: touched.size + cleared + repaired, inTable: touched, silent }
}

/** Whether a version replaces the one in the table; $10 is true in a repair. */
const wins = '(excluded.fetched_at > t.fetched_at or ($10::boolean and excluded.fetched_at = t.fetched_at))'

const upsertVersionsSql = `
  insert into tracks as t
    (id, name, duration_ms, explicit, isrc, album_id, fetched_at, metadata_status, features_status,
      features_requested_at)
  select id, name, duration_ms, explicit, isrc, album_id, to_timestamp(fetched_at / 1000), metadata, features,
    case when features = 'not_found' then now() end
  from unnest($1::text[], $2::text[], $3::int[], $4::boolean[], $5::text[], $6::text[], $7::float8[],
      $8::text[], $9::text[])
    as r (id, name, duration_ms, explicit, isrc, album_id, fetched_at, metadata, features)
  on conflict (id) do update set
    name = case when ${wins} then excluded.name else t.name end,
    duration_ms = case when ${wins}
      then coalesce(excluded.duration_ms, t.duration_ms) else t.duration_ms end,
    explicit = case when ${wins}
      then coalesce(excluded.explicit, t.explicit) else t.explicit end,
    isrc = case when ${wins}
      then coalesce(excluded.isrc, t.isrc) else t.isrc end,
    album_id = case when ${wins}
      then coalesce(excluded.album_id, t.album_id) else t.album_id end,
    fetched_at = greatest(excluded.fetched_at, t.fetched_at),
    metadata_status = case when t.metadata_status = 'found' then 'found'
      else coalesce(excluded.metadata_status, t.metadata_status) end,
    features_status = case when t.features_status = 'found' then 'found'
      else coalesce(excluded.features_status, t.features_status) end,
    features_requested_at = coalesce(t.features_requested_at, excluded.features_requested_at)
  where excluded.fetched_at > t.fetched_at
    or (excluded.metadata_status <> coalesce(t.metadata_status, '') and t.metadata_status is distinct from 'found')
    or (excluded.features_status <> coalesce(t.features_status, '') and t.features_status is distinct from 'found')
    or ($10::boolean and excluded.fetched_at = t.fetched_at
      and (excluded.name, coalesce(excluded.duration_ms, t.duration_ms), coalesce(excluded.explicit, t.explicit),
          coalesce(excluded.isrc, t.isrc), coalesce(excluded.album_id, t.album_id))
        is distinct from (t.name, t.duration_ms, t.explicit, t.isrc, t.album_id))
  returning id, fetched_at`

/** @returns the rows that are new or changed */
async function upsertVersions(sql: Sql, rows: readonly TrackRow[], mode: WriteMode): Promise<Versions> {
  if (rows.length === 0) return new Map()
  const { rows: touched } = await sql.query<VersionRow>({
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
      mode === 'repair',
    ],
  })
  return toVersions(touched)
}

/**
 * Replaces the artists of tracks by those of the versions that won, even if they are fewer; a version that states no
 * artists changes none. This transaction has locked the rows of these tracks, so no other one replaces their artists.
 *
 * @returns how many are new or changed
 */
async function replaceArtists(sql: Sql, won: readonly TrackRow[]): Promise<number> {
  const tracks = won.flatMap(({ id, artistIds }) => (artistIds ? { id, artistIds } : []))
  if (tracks.length === 0) return 0
  const rows = tracks.flatMap((track) =>
    track.artistIds.map((artistId, position) => ({ trackId: track.id, position, artistId })),
  )
  const { rowCount } = await sql.query({
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
  return rowCount ?? 0
}
