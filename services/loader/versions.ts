import type { AlbumRow, ArtistRow, TrackRow } from './catalogue.ts'
import { unseen } from './catalogue.ts'
import type { JsonObject, ReadText } from './fields.ts'
import { idOf, imagesOf, int32Of, isObject } from './fields.ts'

/** An entity as an answer shows it. */
export interface Version {
  entity: JsonObject
  /** Unix time in milliseconds; {@link unseen} when the answer shows no more than the id. */
  fetchedAt: number
  read: ReadText
}

/**
 * Spotify empties the names of tracks that it has withdrawn. Such a version says nothing, and must not win
 * over an older one that does.
 */
export function toTrackVersion(track: JsonObject, fetchedAt: number, read: ReadText): Version {
  return { entity: track, fetchedAt: read(track.name) ? fetchedAt : unseen, read }
}

export function toTrackRow(id: string, version: Version): TrackRow {
  const { entity, fetchedAt, read } = version
  if (fetchedAt === unseen) return unseenTrack(id)
  const externalIds = isObject(entity.external_ids) ? entity.external_ids : {}
  return {
    ...unseenTrack(id),
    name: read(entity.name) ?? '',
    durationMs: int32Of(entity.duration_ms),
    explicit: typeof entity.explicit === 'boolean' ? entity.explicit : null,
    isrc: read(externalIds.isrc),
    albumId: isObject(entity.album) ? idOf(entity.album, read) : null,
    artistIds: toArtistRows(version).map((artist) => artist.id),
    fetchedAt,
  }
}

/** The track's album; null when it has none that can be told, as with local files. */
export function toAlbumRow({ entity, fetchedAt, read }: Version): AlbumRow | null {
  const album = isObject(entity.album) ? entity.album : {}
  const id = idOf(album, read)
  const name = read(album.name)
  if (id === null || !name) return null
  return {
    id,
    name,
    albumType: read(album.album_type),
    releaseDate: read(album.release_date),
    images: imagesOf(album.images, read),
    fetchedAt,
  }
}

/** The track's artists that have an id, in order, by name alone; those of local files have none. */
export function toArtistRows({ entity, fetchedAt, read }: Version): ArtistRow[] {
  if (!Array.isArray(entity.artists)) return []
  const rows: ArtistRow[] = []
  for (const artist of entity.artists) {
    const id = isObject(artist) ? idOf(artist, read) : null
    if (id === null) continue
    const name = read(artist.name)
    rows.push(name ? { ...unseenArtist(id), name, fetchedAt } : unseenArtist(id))
  }
  return rows
}

/** A track of which only the id is known. */
export function unseenTrack(id: string): TrackRow {
  return {
    id,
    name: '',
    durationMs: null,
    explicit: null,
    isrc: null,
    albumId: null,
    artistIds: [],
    fetchedAt: unseen,
    metadata: null,
    features: null,
  }
}

/** An artist of whom only the id is known. */
export function unseenArtist(id: string): ArtistRow {
  return {
    id,
    name: '',
    fetchedAt: unseen,
    genres: null,
    images: null,
    metadata: null,
    metadataFetchedAt: null,
  }
}
