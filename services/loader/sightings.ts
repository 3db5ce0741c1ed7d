import type { AlbumRow, ArtistRow, Catalogue, FeaturesRow, Finding, TrackRow } from './catalogue.ts'
import { compareText } from './catalogue.ts'
import type { JsonObject, ReadText } from './fields.ts'
import { countOf, imagesOf, int32Of, isObject, textOf, textsOf } from './fields.ts'
import { Observations } from './observations.ts'
import type { Version } from './versions.ts'
import {
  toAlbumRow,
  toArtistRows,
  toTrackRow,
  toTrackVersion,
  unseenArtist,
  unseenTrack,
} from './versions.ts'
import type { Written } from './written.ts'

/** When an answer was fetched: Unix ms, and its UTC date. */
export interface FetchedAt {
  at: number
  day: string
}

interface TrackFindings {
  metadata: Finding
  features: Finding
}

/**
 * Collects the tracks, albums and artists of a batch of records and keeps the newest version of each. A track
 * that is on a hundred pages is only looked at once, in the version that wins.
 */
export class Sightings {
  readonly #tracks = new Map<string, Version>()
  readonly #trackFindings = new Map<string, TrackFindings>()
  readonly #artists = new Map<string, Version>()
  readonly #artistFindings = new Map<string, Finding>()
  readonly #features = new Map<string, FeaturesRow>()
  readonly #trackPopularity = new Observations()
  readonly #artistPopularity = new Observations()
  readonly #artistFollowers = new Observations()

  /** A track as a page or an answer shows it, and how its texts are read. */
  addTrack(id: string, track: JsonObject, fetched: FetchedAt, read: ReadText = textOf): void {
    const known = this.#tracks.get(id)
    if (!known || known.fetchedAt < fetched.at) {
      const version = toTrackVersion(track, fetched.at, read)
      if (!known || known.fetchedAt < version.fetchedAt) this.#tracks.set(id, version)
    }
    this.#trackPopularity.add(id, int32Of(track.popularity), fetched)
  }

  /** A whole artist, as an answer shows it. */
  addArtist(id: string, artist: JsonObject, fetched: FetchedAt): void {
    const version = { entity: artist, fetchedAt: fetched.at, read: textOf }
    const known = this.#artists.get(id)
    this.#artists.set(id, known ? merge(known, version) : version)
    this.#artistPopularity.add(id, int32Of(artist.popularity), fetched)
    const total = isObject(artist.followers) ? countOf(artist.followers.total) : null
    this.#artistFollowers.add(id, total, fetched)
  }

  addFeatures(row: FeaturesRow): void {
    const known = this.#features.get(row.trackId)
    if (!known || known.fetchedAt < row.fetchedAt) this.#features.set(row.trackId, row)
  }

  /** Whether an artist was found. What was found once stays found. */
  addArtistFinding(id: string, finding: Finding): void {
    if (this.#artistFindings.get(id) !== 'found') this.#artistFindings.set(id, finding)
  }

  /** Whether a track, or its audio features, were found. What was found once stays found. */
  addTrackFinding(id: string, kind: keyof TrackFindings, finding: Finding): void {
    const known = this.#trackFindings.get(id) ?? { metadata: null, features: null }
    if (known[kind] !== 'found') known[kind] = finding
    this.#trackFindings.set(id, known)
  }

  /** @param written tracks that it covers are left out */
  toCatalogue(written?: Pick<Written, 'covers'>): Catalogue {
    const albums = new Map<string, AlbumRow>()
    const artists = new Map<string, ArtistRow>()
    const tracks: TrackRow[] = []
    for (const [id, version] of this.#tracks) {
      const findings = this.#trackFindings.get(id)
      if (!findings && written?.covers(id, version)) continue
      tracks.push({ ...toTrackRow(id, version), ...findings })
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

/** The newer version, with the fields that only the older one has. */
function merge(a: Version, b: Version): Version {
  const [older, newer] = a.fetchedAt < b.fetchedAt ? [a, b] : [b, a]
  return { entity: { ...older.entity, ...newer.entity }, fetchedAt: newer.fetchedAt, read: newer.read }
}

/** Joins what an answer says of an artist with the name that tracks of the same batch show. */
function withMetadata(named: ArtistRow, version: Version | undefined): ArtistRow {
  if (!version) return named
  const { entity, fetchedAt } = version
  const name = textOf(entity.name)
  return {
    ...named,
    ...(name && fetchedAt >= named.fetchedAt ? { name, fetchedAt } : {}),
    genres: textsOf(entity.genres),
    images: imagesOf(entity.images),
    metadataFetchedAt: fetchedAt,
  }
}

function keepNewest<R extends { id: string; fetchedAt: number }>(rows: Map<string, R>, row: R): void {
  const known = rows.get(row.id)
  if (!known || known.fetchedAt < row.fetchedAt) rows.set(row.id, row)
}

function sorted<R extends { id: string }>(rows: R[]): R[] {
  return rows.sort((a, b) => compareText(a.id, b.id))
}
