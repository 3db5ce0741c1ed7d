import type { AlbumRow, ArtistRow, Catalogue, FeaturesRow, Finding, TrackRow } from './catalogue.ts'
import { compareText } from './catalogue.ts'
import type { JsonObject } from './fields.ts'
import { countOf, imagesOf, int32Of, isObject, textOf, textsOf } from './fields.ts'
import { Observations } from './observations.ts'
import type { Said } from './said.ts'
import { fill, meanings, said } from './said.ts'
import type { SeenTrack } from './seen-track.ts'
import { mergeTracks } from './seen-track.ts'
import type { TrackVersion } from './versions.ts'
import {
  toAlbumRow,
  toArtistRows,
  toTrackRow,
  toTrackVersion,
  unseenArtist,
  unseenTrack,
} from './versions.ts'

/** When an answer was fetched: Unix ms, and its UTC date. */
export interface FetchedAt {
  at: number
  day: string
}

/** A whole artist, as an answer shows it. */
interface ArtistVersion {
  id: string
  name: string | undefined
  genres: Said<readonly string[]>
  images: Said<string>
  fetchedAt: number
}

interface TrackFindings {
  metadata: Finding
  features: Finding
}

/**
 * Collects the tracks, albums and artists of a batch of records and keeps the newest version of each. A track on a
 * hundred pages becomes rows only once.
 */
export class Sightings {
  readonly #tracks = new Map<string, TrackVersion>()
  readonly #trackFindings = new Map<string, TrackFindings>()
  readonly #artists = new Map<string, ArtistVersion>()
  readonly #artistFindings = new Map<string, Finding>()
  readonly #features = new Map<string, FeaturesRow>()
  readonly #trackPopularity = new Observations()
  readonly #artistPopularity = new Observations()
  readonly #artistFollowers = new Observations()

  /** A track as a page or an answer shows it. */
  addTrack(track: SeenTrack, fetched: FetchedAt): void {
    const known = this.#tracks.get(track.id)
    if (!known) this.#tracks.set(track.id, toTrackVersion(track, fetched.at))
    else if (known.fetchedAt < fetched.at || !known.track.isWhole) {
      this.#tracks.set(track.id, newestOf(known, toTrackVersion(track, fetched.at)))
    }
    this.#trackPopularity.add(track.id, track.popularity, fetched)
  }

  /** A whole artist, as an answer shows it. */
  addArtist(id: string, artist: JsonObject, fetched: FetchedAt): void {
    const rules = meanings.artist
    keepNewest(this.#artists, {
      id,
      name: textOf(artist.name) || undefined,
      genres: said(rules.genres, artist.genres, textsOf),
      images: said(rules.images, artist.images, imagesOf),
      fetchedAt: fetched.at,
    })
    this.#artistPopularity.add(id, int32Of(artist.popularity), fetched)
    const total = isObject(artist.followers) ? countOf(artist.followers.total) : null
    this.#artistFollowers.add(id, total, fetched)
  }

  addFeatures(row: FeaturesRow): void {
    const known = this.#features.get(row.trackId)
    const [older, newer] = known && row.fetchedAt <= known.fetchedAt ? [row, known] : [known ?? row, row]
    this.#features.set(row.trackId, { ...newer, values: fill(newer.values, older.values) })
  }

  /** Adds whether an artist was found. Once found, it stays found. */
  addArtistFinding(id: string, finding: Finding): void {
    if (this.#artistFindings.get(id) !== 'found') this.#artistFindings.set(id, finding)
  }

  /** Adds whether a track or its audio features were found. Once found, they stay found. */
  addTrackFinding(id: string, kind: keyof TrackFindings, finding: Finding): void {
    const known = this.#trackFindings.get(id) ?? { metadata: null, features: null }
    if (known[kind] !== 'found') known[kind] = finding
    this.#trackFindings.set(id, known)
  }

  /** @param isKnown leaves out the tracks for which it returns true, with their albums and artists */
  toCatalogue(isKnown: (version: TrackVersion) => boolean = () => false): Catalogue {
    const albums = new Map<string, AlbumRow>()
    const artists = new Map<string, ArtistRow>()
    const tracks: TrackRow[] = []
    for (const [id, version] of this.#tracks) {
      const findings = this.#trackFindings.get(id)
      if (!findings && isKnown(version)) continue
      tracks.push({ ...toTrackRow(version), ...findings })
      const album = toAlbumRow(version)
      if (album) keepNewest(albums, album)
      for (const artist of toArtistRows(version)) keepNewest(artists, artist)
    }
    for (const [id, findings] of this.#trackFindings) {
      if (!this.#tracks.has(id)) tracks.push({ ...unseenTrack(id), ...findings })
    }
    for (const [id, finding] of this.#artistFindings) {
      const named = artists.get(id) ?? unseenArtist(id)
      artists.set(id, { ...withMetadata(named, this.#artists.get(id)), metadata: finding })
    }
    return {
      albums: sorted([...albums.values()]),
      artists: sorted([...artists.values()]),
      tracks: sorted(tracks),
      trackPopularity: this.#trackPopularity.toRows(),
      artistPopularity: this.#artistPopularity.toRows(),
      artistFollowers: this.#artistFollowers.toRows(),
      features: [...this.#features.values()].sort((a, b) => compareText(a.trackId, b.trackId)),
    }
  }
}

function newestOf(a: TrackVersion, b: TrackVersion): TrackVersion {
  const [older, newer] = a.fetchedAt < b.fetchedAt ? [a, b] : [b, a]
  return { track: mergeTracks(newer.track, older.track), fetchedAt: newer.fetchedAt }
}

/** Combines an answer about an artist with the name that tracks of the same batch show. */
function withMetadata(named: ArtistRow, version: ArtistVersion | undefined): ArtistRow {
  if (!version) return named
  const { name, genres, images, fetchedAt } = version
  return {
    ...named,
    ...(name && fetchedAt >= named.fetchedAt ? { name, fetchedAt } : {}),
    ...{ genres, images, metadataFetchedAt: fetchedAt },
  }
}

/** Keeps the newer row of an id, completed with what only the older one states. */
function keepNewest<R extends { id: string; fetchedAt: number }>(rows: Map<string, R>, row: R): void {
  const known = rows.get(row.id)
  if (!known) rows.set(row.id, row)
  else rows.set(row.id, known.fetchedAt < row.fetchedAt ? fill(row, known) : fill(known, row))
}

function sorted<R extends { id: string }>(rows: R[]): R[] {
  return rows.sort((a, b) => compareText(a.id, b.id))
}
