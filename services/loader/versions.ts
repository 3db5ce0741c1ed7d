import type { AlbumRow, ArtistRow, TrackRow } from './catalogue.ts'
import { unseen } from './catalogue.ts'
import type { JsonObject } from './fields.ts'
import { idOf, imagesOf, int32Of, isObject, textOf } from './fields.ts'

/** An entity as an answer shows it. */
export interface Version {
  entity: JsonObject
  /** Unix time in milliseconds; {@link unseen} when the answer shows no more than the id. */
  fetchedAt: number
}

/**
 * Spotify empties the names of tracks that it has withdrawn. Such a version says nothing, and must not win
 * over an older one that does.
 */
export function toVersion(entity: JsonObject, fetchedAt: number): Version {
  return { entity, fetchedAt: textOf(entity.name) ? fetchedAt : unseen }
}

export function toTrackRow(id: string, { entity, fetchedAt }: Version): TrackRow {
  if (fetchedAt === unseen) return unseenTrack(id)
  const externalIds = isObject(entity.external_ids) ? entity.external_ids : {}
  return {
    ...unseenTrack(id),
    name: textOf(entity.name) ?? '',
    durationMs: int32Of(entity.duration_ms),
    explicit: typeof entity.explicit === 'boolean' ? entity.explicit : null,
    isrc: textOf(externalIds.isrc),
    albumId: isObject(entity.album) ? idOf(entity.album) : null,
    artistIds: toArtistRows({ entity, fetchedAt }).map((artist) => artist.id),
    fetchedAt,
  }
}

/** The track's album; null when it has none that can be told, as with local files. */
export function toAlbumRow({ entity, fetchedAt }: Version): AlbumRow | null {
  const album = isObject(entity.album) ? entity.album : {}
  const id = idOf(album)
  const name = textOf(album.name)
  if (id === null || !name) return null
  return {
    id,
    name,
    albumType: textOf(album.album_type),
    releaseDate: textOf(album.release_date),
    images: imagesOf(album.images),
    fetchedAt,
  }
}

/** The track's artists that have an id, in order, by name alone; those of local files have none. */
export function toArtistRows({ entity, fetchedAt }: Version): ArtistRow[] {
  if (!Array.isArray(entity.artists)) return []
  const rows: ArtistRow[] = []
  for (const artist of entity.artists) {
    const id = isObject(artist) ? idOf(artist) : null
    if (id === null) continue
    const name = textOf(artist.name)
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
