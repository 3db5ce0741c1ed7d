import { createRandom, fraction, hash32, zipfIndex } from '../random.ts'
import { toId, toIndex } from './ids.ts'
import { toArtistName, toGenres, toTitle } from './names.ts'

/**
 * The simulated catalogue. Every entity is a pure function of (seed, index): nothing is stored, and a restart
 * gives the same catalogue. Tracks come in blocks of twelve by one artist; a block is an album, an album and
 * singles, or two EPs. A low index means a popular track.
 */
export interface Track {
  index: number
  id: string
  name: string
  durationMs: number
  explicit: boolean
  isrc: string
  popularity: number
  trackNumber: number
  album: Album
  /** Artist indices, the main artist first. */
  artists: number[]
}

export interface Album {
  id: string
  name: string
  type: 'album' | 'single'
  releaseDate: string
  releaseDatePrecision: 'day' | 'month' | 'year'
  totalTracks: number
  artist: number
  /** Index of the album's first track. */
  firstTrack: number
}

export interface Artist {
  index: number
  id: string
  name: string
  genres: string[]
  followers: number
  popularity: number
}

export interface Catalogue {
  seed: number
  trackCount: number
  artistCount: number
  track(index: number): Track
  artist(index: number): Artist
  trackIndex(id: string): number | null
  artistIndex(id: string): number | null
  durationMs(track: number): number
  /** Index of the first track of the album that this track is on, and how many tracks it has. */
  albumTracks(track: number): { firstTrack: number; totalTracks: number }
}

const blockSize = 12
const salts = { block: 11, track: 12, artist: 13, album: 14, duration: 15 } as const

export function createCatalogue(seed: number, trackCount: number): Catalogue {
  const artistCount = Math.max(2, Math.ceil(trackCount / 20))
  const within = (index: number | null, count: number) => (index !== null && index < count ? index : null)
  return {
    seed,
    trackCount,
    artistCount,
    track: (index) => toTrack({ seed, trackCount, artistCount }, index),
    artist: (index) => toArtist(seed, index),
    trackIndex: (id) => within(toIndex(seed, 'track', id), trackCount),
    artistIndex: (id) => within(toIndex(seed, 'artist', id), artistCount),
    durationMs: (track) => toDurationMs(seed, track),
    albumTracks: (track) => toAlbumTracks(seed, trackCount, track),
  }
}

interface Sizes {
  seed: number
  trackCount: number
  artistCount: number
}

function toTrack(sizes: Sizes, index: number): Track {
  const random = createRandom(sizes.seed, salts.track, index)
  const { firstTrack, totalTracks } = toAlbumTracks(sizes.seed, sizes.trackCount, index)
  const artist = toBlockArtist(sizes, index)
  const album = toAlbum(sizes.seed, { firstTrack, totalTracks, artist })
  return {
    index,
    id: toId(sizes.seed, 'track', index),
    name: totalTracks === 1 ? album.name : toTitle(random),
    durationMs: toDurationMs(sizes.seed, index),
    explicit: random.chance(0.15),
    isrc: toIsrc(random.int, album.releaseDate),
    popularity: toPopularity(index, sizes.trackCount),
    trackNumber: index - firstTrack + 1,
    album,
    artists: [artist, ...toGuests(sizes, index, artist)],
  }
}

function toBlockArtist({ seed, artistCount }: Sizes, track: number): number {
  return zipfIndex(fraction(seed, salts.block, Math.floor(track / blockSize), 1), artistCount)
}

function toGuests({ seed, artistCount }: Sizes, track: number, artist: number): number[] {
  const random = createRandom(seed, salts.track, track, 2)
  const count = random.chance(0.25) ? 1 + random.int(3) : 0
  const guests = new Set<number>()
  for (let place = 0; place < count; place += 1) guests.add(zipfIndex(random.next(), artistCount))
  guests.delete(artist)
  return [...guests]
}

function toAlbumTracks(seed: number, trackCount: number, track: number) {
  const block = Math.floor(track / blockSize)
  const place = track % blockSize
  const start = block * blockSize
  const room = Math.min(blockSize, trackCount - start)
  const layout = hash32(seed, salts.block, block) % 3
  if (layout === 1 && place >= 9) return { firstTrack: track, totalTracks: 1 }
  if (layout === 2 && place >= 6) return { firstTrack: start + 6, totalTracks: room - 6 }
  const size = layout === 0 ? blockSize : layout === 1 ? 9 : 6
  return { firstTrack: start, totalTracks: Math.min(size, room) }
}

function toAlbum(seed: number, album: { firstTrack: number; totalTracks: number; artist: number }): Album {
  const random = createRandom(seed, salts.album, album.firstTrack)
  const name = toTitle(random)
  return {
    ...album,
    ...toReleaseDate(random.next(), 1 - random.next() ** 2),
    id: toId(seed, 'album', album.firstTrack),
    name,
    type: album.totalTracks > 6 ? 'album' : 'single',
  }
}

/** A fifth of the releases are known only to the month or the year. */
function toReleaseDate(chance: number, age: number): Pick<Album, 'releaseDate' | 'releaseDatePrecision'> {
  const from = Date.UTC(1962, 0, 1)
  const to = Date.UTC(2026, 0, 1)
  const date = new Date(from + (to - from) * age).toISOString()
  if (chance < 0.8) return { releaseDate: date.slice(0, 10), releaseDatePrecision: 'day' }
  if (chance < 0.87) return { releaseDate: date.slice(0, 7), releaseDatePrecision: 'month' }
  return { releaseDate: date.slice(0, 4), releaseDatePrecision: 'year' }
}

/** Between 40 seconds and 12 minutes, mostly near three and a half. */
function toDurationMs(seed: number, track: number): number {
  const random = createRandom(seed, salts.duration, track)
  if (random.chance(0.03)) return Math.floor(random.between(420_000, 720_000))
  const bell = (random.next() + random.next() + random.next()) / 3
  return Math.floor(40_000 + bell * 340_000)
}

function toIsrc(int: (bound: number) => number, releaseDate: string): string {
  const countries = ['US', 'GB', 'DE', 'SE', 'QM', 'FR', 'JP', 'NO']
  const registrant = int(36 ** 3)
    .toString(36)
    .toUpperCase()
    .padStart(3, '0')
  const designation = int(100_000).toString().padStart(5, '0')
  return `${countries[int(countries.length)] ?? 'US'}${registrant}${releaseDate.slice(2, 4)}${designation}`
}

function toArtist(seed: number, index: number): Artist {
  const random = createRandom(seed, salts.artist, index)
  const name = toArtistName(random)
  const genres = toGenres(random)
  return {
    index,
    id: toId(seed, 'artist', index),
    name,
    genres,
    followers: Math.floor(40_000_000 / (index + 1) ** 1.2) + random.int(500),
    popularity: Math.max(0, Math.round(95 - 10 * Math.log(index + 1) + random.between(-4, 4))),
  }
}

function toPopularity(index: number, trackCount: number): number {
  return Math.max(0, Math.round(97 * (1 - Math.log(index + 1) / Math.log(trackCount + 1))))
}
