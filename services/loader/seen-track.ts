import type { JsonObject, ReadText } from './fields.ts'
import { idOf, imagesOf, int32Of, isObject, maxIdLength, sha256, textOf } from './fields.ts'
import type { Said } from './said.ts'
import { fill, meanings, said } from './said.ts'

/** A track as a page or an answer shows it. */
export interface SeenTrack {
  id: string
  /** Empty if Spotify has withdrawn the track and says nothing about it any more. */
  name: string
  durationMs: Said<number>
  explicit: Said<boolean>
  isrc: Said<string>
  albumId: Said<string>
  /** Null if it has no album with an id and a name, as with local files. */
  album: SeenAlbum | null
  /** In order; the first is the primary one. */
  artists: readonly SeenArtist[] | undefined
  popularity: number | null
  /** It states every field that is stored. */
  isWhole: boolean
}

export interface SeenAlbum {
  id: string
  name: string
  albumType: Said<string>
  releaseDate: Said<string>
  /** JSON text. */
  images: Said<string>
}

export interface SeenArtist {
  id: string
  /** Empty if not shown. */
  name: string
}

/** Reads a track. @param id its own one, or the one that was asked for */
export function toSeenTrack(id: string, track: JsonObject, read: ReadText = textOf): SeenTrack {
  const rules = meanings.track
  const externalIds = isObject(track.external_ids) ? track.external_ids : {}
  const facts = {
    durationMs: said(rules.duration_ms, track.duration_ms, int32Of),
    explicit: said(rules.explicit, track.explicit, booleanOf),
    isrc: said(rules['external_ids.isrc'], externalIds.isrc, read),
    albumId: albumIdOf(track.album, read),
    artists: artistsOf(track.artists, read),
  }
  const album = isObject(track.album) ? toSeenAlbum(track.album, read) : null
  const isWhole = ![facts, album ?? {}].some((part) => Object.values(part).includes(undefined))
  return {
    id,
    name: read(track.name) ?? '',
    ...facts,
    album,
    popularity: int32Of(track.popularity),
    isWhole,
  }
}

/** The newer of two versions, completed with what only the older one states about the track and the same album. */
export function mergeTracks(newer: SeenTrack, older: SeenTrack): SeenTrack {
  if (newer.isWhole) return newer
  const merged = fill(newer, older)
  if (!newer.album || newer.album.id !== older.album?.id) return merged
  return { ...merged, album: fill(newer.album, older.album) }
}

function albumIdOf(album: unknown, read: ReadText): Said<string> {
  if (!isObject(album)) return said(meanings.track.album, album, () => null)
  return idOf(album, read) ?? said(meanings.track['album.id'], album.id, () => null)
}

/** An album, or null if it has no id or no name. */
function toSeenAlbum(album: JsonObject, read: ReadText): SeenAlbum | null {
  const id = idOf(album, read)
  const name = read(album.name)
  if (id === null || !name) return null
  const rules = meanings.album
  return {
    id,
    name,
    albumType: said(rules.album_type, album.album_type, read),
    releaseDate: said(rules.release_date, album.release_date, read),
    images: said(rules.images, album.images, (value) => imagesOf(value, read)),
  }
}

function artistsOf(value: unknown, read: ReadText): SeenArtist[] | undefined {
  if (!Array.isArray(value)) return undefined
  return value.map((artist) => toSeenArtist(isObject(artist) ? artist : {}, read))
}

/**
 * An artist without an id (of a local file) gets an id from its name, so that all artists keep their places and the
 * first one stays the primary one. Spotify issues no such ids, so they are never requested.
 */
function toSeenArtist(artist: JsonObject, read: ReadText): SeenArtist {
  const name = read(artist.name) ?? ''
  return { id: idOf(artist, read) ?? nameId(name), name }
}

function nameId(name: string): string {
  return name.length <= maxIdLength ? `name:${name}` : `name:sha256:${sha256(name)}`
}

function booleanOf(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null
}
