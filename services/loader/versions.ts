import type { AlbumRow, ArtistRow, TrackRow } from './catalogue.ts'
import { unseen } from './catalogue.ts'
import type { SeenTrack } from './seen-track.ts'

/** A track as seen at a time (Unix ms). */
export interface TrackVersion {
  track: SeenTrack
  /** {@link unseen} if the answer shows only the id. */
  fetchedAt: number
}

/**
 * Spotify empties the names of withdrawn tracks. Such a version states nothing and must not win over an older one
 * that does.
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

/** The row of the track's album, or null if {@link SeenTrack.album} is. */
export function toAlbumRow({ track, fetchedAt }: TrackVersion): AlbumRow | null {
  return track.album && { ...track.album, fetchedAt }
}

/** The track's artists, with only their names. */
export function toArtistRows({ track, fetchedAt }: TrackVersion): ArtistRow[] {
  return (track.artists ?? []).map(({ id, name }) =>
    name ? { ...unseenArtist(id), name, fetchedAt } : unseenArtist(id),
  )
}

/** A track with only its id. */
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

/** An artist with only their id. */
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
