import { createRandom, hash32 } from '../random.ts'
import type { Album, Artist, Catalogue, Track } from './catalogue.ts'
import { markets } from './names.ts'
import type { ArtistOddity, TrackOddity } from './oddities.ts'

/** An app's access: `development` lacks the endpoints and fields that were removed in February 2026. */
export type Mode = 'development' | 'extended'

const api = 'https://api.spotify.com/v1'

export function toTrackObject(
  catalogue: Catalogue,
  track: Track,
  view: { mode: Mode; oddity: TrackOddity | null },
) {
  const extended = view.mode === 'extended'
  const object: Record<string, unknown> = {
    album: toAlbumObject(catalogue, track.album, view),
    artists: track.artists.map((index) => toSimpleArtist(catalogue.artist(index))),
    ...(extended && { available_markets: markets }),
    disc_number: 1,
    duration_ms: track.durationMs,
    explicit: track.explicit,
    external_ids: { isrc: track.isrc },
    ...toLinks('track', track.id),
    is_local: false,
    name: toOddName(track.name, view.oddity),
    ...(extended && { popularity: track.popularity }),
    preview_url: null,
    track_number: track.trackNumber,
    type: 'track',
    uri: `spotify:track:${track.id}`,
  }
  if (view.oddity === 'missing_popularity') delete object.popularity
  if (view.oddity === 'missing_external_ids') delete object.external_ids
  return object
}

export function toLocalFileObject(track: Track) {
  const parts = ['Home Recordings', track.album.name, track.name].map((part) => encodeURIComponent(part))
  return {
    album: {
      album_type: null,
      artists: [],
      external_urls: {},
      href: null,
      id: null,
      images: [],
      name: track.album.name,
    },
    artists: [
      { external_urls: {}, href: null, id: null, name: 'Home Recordings', type: 'artist', uri: null },
    ],
    disc_number: 0,
    duration_ms: track.durationMs,
    explicit: false,
    external_ids: {},
    external_urls: {},
    href: null,
    id: null,
    is_local: true,
    name: track.name,
    popularity: 0,
    preview_url: null,
    track_number: 0,
    type: 'track',
    uri: `spotify:local:${parts.join(':')}:${Math.round(track.durationMs / 1000)}`,
  }
}

export function toArtistObject(artist: Artist, view: { mode: Mode; oddity: ArtistOddity | null }) {
  const extended = view.mode === 'extended'
  const object: Record<string, unknown> = {
    external_urls: { spotify: `https://open.spotify.com/artist/${artist.id}` },
    ...(extended && { followers: { href: null, total: artist.followers }, genres: artist.genres }),
    href: `${api}/artists/${artist.id}`,
    id: artist.id,
    images: view.oddity === 'empty_artist_images' ? [] : toImages(artist.index, 'ab6761610000'),
    name: artist.name,
    ...(extended && { popularity: artist.popularity }),
    type: 'artist',
    uri: `spotify:artist:${artist.id}`,
  }
  if (view.oddity === 'missing_followers') delete object.followers
  if (view.oddity === 'missing_genres') delete object.genres
  return object
}

/** The object of `/audio-features`; each number is within its documented range. */
export function toAudioFeatures(seed: number, track: Track) {
  const random = createRandom(seed, 31, track.index)
  const unit = () => Number(random.next().toFixed(3))
  return {
    danceability: unit(),
    energy: unit(),
    key: random.int(12),
    loudness: Number(random.between(-30, 0).toFixed(3)),
    mode: random.int(2),
    speechiness: unit(),
    acousticness: unit(),
    instrumentalness: unit(),
    liveness: unit(),
    valence: unit(),
    tempo: Number(random.between(60, 190).toFixed(3)),
    type: 'audio_features',
    id: track.id,
    uri: `spotify:track:${track.id}`,
    track_href: `${api}/tracks/${track.id}`,
    analysis_url: `${api}/audio-analysis/${track.id}`,
    duration_ms: track.durationMs,
    time_signature: random.chance(0.9) ? 4 : 3,
  }
}

function toAlbumObject(catalogue: Catalogue, album: Album, view: { mode: Mode; oddity: TrackOddity | null }) {
  return {
    album_type: album.type,
    artists: [toSimpleArtist(catalogue.artist(album.artist))],
    ...(view.mode === 'extended' && { available_markets: markets }),
    ...toLinks('album', album.id),
    images: view.oddity === 'empty_images' ? [] : toImages(album.firstTrack, 'ab67616d0000'),
    name: album.name,
    release_date: album.releaseDate,
    release_date_precision: album.releaseDatePrecision,
    total_tracks: album.totalTracks,
    type: 'album',
    uri: `spotify:album:${album.id}`,
  }
}

function toSimpleArtist(artist: Artist) {
  return {
    ...toLinks('artist', artist.id),
    name: artist.name,
    type: 'artist',
    uri: `spotify:artist:${artist.id}`,
  }
}

function toLinks(kind: 'track' | 'album' | 'artist', id: string) {
  return {
    external_urls: { spotify: `https://open.spotify.com/${kind}/${id}` },
    href: `${api}/${kind}s/${id}`,
    id,
  }
}

function toImages(index: number, prefix: string) {
  const sizes = [
    [640, 'b273'],
    [300, '1e02'],
    [64, '4851'],
  ] as const
  const picture = [1, 2, 3].map((part) => hash32(41, index, part).toString(16).padStart(8, '0')).join('')
  return sizes.map(([size, code]) => ({
    height: size,
    url: `https://i.scdn.co/image/${prefix}${code}${picture}`,
    width: size,
  }))
}

/** `JSON.stringify` writes both NUL and a lone surrogate as `\u` escapes, as Spotify must. */
function toOddName(name: string, oddity: TrackOddity | null): string {
  if (oddity === 'nul_in_name') return `${name.slice(0, 3)}\u0000${name.slice(3)}`
  if (oddity === 'lone_surrogate_in_name') return `${name} \ud83d`
  if (oddity === 'long_name') return `${[...`${name} `.repeat(400)].slice(0, 399).join('')}!`
  return name
}
