import type { AlbumRow, ArtistRow, TrackRow } from './catalogue.ts'
import { unseen } from './catalogue.ts'
import type { SeenTrack } from './seen-track.ts'

/** A track and when it was seen so (Unix ms). */
export interface TrackVersion {
  track: SeenTrack
  /** {@link unseen} when the answer shows no more than the id. */
  fetchedAt: number
}

/**
 * Spotify empties the names of tracks that it has withdrawn. Such a version says nothing, and must not win
 * over an older one that does.
 */
export function toTrackVersion(track: SeenTrack, fetchedAt: number): TrackVersion {
  return { track, fetchedAt: track.name ? fetchedAt : unseen }
}

export function toTrackRow({ track, fetchedAt }: TrackVersion): TrackRow {
  if (fetchedAt === unseen) return unseenTrack(track.id)
  const { name, durationMs, explicit, isrc, albumId } = track
  const artistIds = track.artists?.map(({ id }) => id)
  return { ...unseenTrack(track.id), name, durationMs, explicit, isrc, albumId, artistIds, fetchedAt }
}

/** The track's album; null when it has none that can be told, as with local files. */
export function toAlbumRow({ track, fetchedAt }: TrackVersion): AlbumRow | null {
  return track.album && { ...track.album, fetchedAt }
}

/** The track's artists, by name alone. */
export function toArtistRows({ track, fetchedAt }: TrackVersion): ArtistRow[] {
  return (track.artists ?? []).map(({ id, name }) =>
    name ? { ...unseenArtist(id), name, fetchedAt } : unseenArtist(id),
  )
}

/** A track of which only the id is known. */
export function unseenTrack(id: string): TrackRow {
  return {
    id,
    name: '',
    durationMs: undefined,
    explicit: undefined,
    isrc: undefined,
    albumId: undefined,
    artistIds: undefined,
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
    genres: undefined,
    images: undefined,
    metadata: null,
    metadataFetchedAt: null,
  }
}
