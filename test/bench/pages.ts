import { createHash } from 'node:crypto'
import { fraction, hash32, zipfIndex } from '../../simulators/random.ts'

/** The shape of the load; the same shape always gives the same bytes. */
export interface Shape {
  /** Rounded up to whole rounds of all users. */
  pages: number
  users: number
  tracks: number
  artists: number
  /** Plays, of 50, that a page repeats from the user's page before it. */
  overlap: number
}

export interface BenchPage {
  userId: number
  /** Unix time in milliseconds. */
  fetchedAt: number
  body: Buffer
}

export interface BenchPlay {
  userId: number
  /** Unix time in milliseconds. */
  playedAt: number
  track: number
}

const pageSize = 50
/** 2026-01-01, so that pages of a large load are not in the future. */
const epoch = 1_767_225_600_000
const playMs = 200_000
const dayMs = 86_400_000
const markets = 20
const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/**
 * Pages of recently-played as in Spotify's extended mode, about 110 kB each, of `users` in turn. Each page of a user
 * repeats the newest `overlap` plays of the page before it and adds new ones. One track in ten has a name beyond
 * Latin-1, so nearly every page has one; popularity changes from day to day.
 */
export class Pages {
  readonly shape: Shape
  /** A track's JSON before and after its popularity. */
  readonly #tracks: readonly (readonly [string, string])[]
  readonly #fresh: number

  constructor(shape: Shape) {
    this.shape = shape
    this.#fresh = pageSize - shape.overlap
    this.#tracks = Array.from({ length: shape.tracks }, (_, n) => trackJson(n, shape.artists))
  }

  get count(): number {
    return this.rounds * this.shape.users
  }

  get rounds(): number {
    return Math.ceil(this.shape.pages / this.shape.users)
  }

  /** Page `index` of the whole load: `users` in turn. */
  page(index: number): BenchPage {
    const userId = (index % this.shape.users) + 1
    const first = Math.floor(index / this.shape.users) * this.#fresh
    const fetchedAt = this.#playedAt(userId, first + pageSize)
    const day = Math.floor(fetchedAt / dayMs)
    const items: string[] = []
    for (let place = first + pageSize - 1; place >= first; place--) items.push(this.#item(userId, place, day))
    const body = `{"items":[${items.join(',')}],"next":"https://api.spotify.com/v1/me/player/recently-played?before=${first}&limit=50","cursors":{"after":"${first + pageSize}","before":"${first}"},"limit":50,"href":"https://api.spotify.com/v1/me/player/recently-played?limit=50"}`
    return { userId, fetchedAt, body: Buffer.from(body) }
  }

  /** Every play of the pages, once, by user and time. */
  *plays(): Generator<BenchPlay> {
    const perUser = (this.rounds - 1) * this.#fresh + pageSize
    for (let userId = 1; userId <= this.shape.users; userId++) {
      for (let place = 0; place < perUser; place++) {
        yield { userId, playedAt: this.#playedAt(userId, place), track: this.#trackAt(userId, place) }
      }
    }
  }

  #playedAt(userId: number, place: number): number {
    return epoch + place * playMs + userId * 7
  }

  #trackAt(userId: number, place: number): number {
    return zipfIndex(fraction(userId, place), this.shape.tracks)
  }

  #item(userId: number, place: number, day: number): string {
    const track = this.#trackAt(userId, place)
    const [before, after] = this.#tracks[track] ?? ['', '']
    const popularity = (track + day) % 101
    const playedAt = new Date(this.#playedAt(userId, place)).toISOString()
    return `{"track":${before}${popularity}${after},"played_at":"${playedAt}","context":${contextJson(userId, place)}}`
  }
}

/** Contents of the tables after every page is loaded. */
export interface Expected {
  plays: number
  /** MD5 of the {@link playLine} of every play by user and time, joined by commas. */
  playsMd5: string
  tracks: number
  albums: number
  artists: number
}

export function toExpected(pages: Pages): Expected {
  const hash = createHash('md5')
  const tracks = new Set<number>()
  let plays = 0
  for (const play of pages.plays()) {
    hash.update(`${plays === 0 ? '' : ','}${playLine(play)}`)
    tracks.add(play.track)
    plays++
  }
  const all = [...tracks]
  return {
    plays,
    playsMd5: hash.digest('hex'),
    tracks: tracks.size,
    albums: new Set(all.map(albumOf)).size,
    artists: new Set(all.flatMap((track) => artistsOf(track, pages.shape.artists))).size,
  }
}

export function playLine({ userId, playedAt, track }: BenchPlay): string {
  return `${userId} ${playedAt} ${trackId(track)}`
}

export function trackId(track: number): string {
  return spotifyId('track', track)
}

function albumOf(track: number): number {
  return track >> 2
}

function artistsOf(track: number, artists: number): number[] {
  const first = hash32(track) % artists
  return track % 3 === 0 ? [first, (first + 1) % artists] : [first]
}

/** An id of 22 characters in base 62, a function of kind and number. */
function spotifyId(kind: string, n: number): string {
  const digest = createHash('sha256').update(`${kind} ${n}`).digest()
  return Array.from(digest.subarray(0, 22), (byte) => base62[byte % base62.length]).join('')
}

const marketsJson = JSON.stringify(
  Array.from({ length: markets }, (_, n) => String.fromCharCode(65 + (n % 26), 65 + ((n * 7) % 26))),
)

function artistJson(n: number): string {
  const id = spotifyId('artist', n)
  const name = n % 20 === 0 ? `Артист ${n}` : `The Artist No. ${n}`
  return `{"external_urls":{"spotify":"https://open.spotify.com/artist/${id}"},"href":"https://api.spotify.com/v1/artists/${id}","id":"${id}","name":"${name}","type":"artist","uri":"spotify:artist:${id}"}`
}

function albumJson(n: number, artists: string): string {
  const id = spotifyId('album', n)
  const images = [640, 300, 64]
    .map(
      (size) => `{"height":${size},"url":"https://i.scdn.co/image/ab67616d0000${size}${id}","width":${size}}`,
    )
    .join(',')
  return `{"album_type":"album","artists":[${artists}],"available_markets":${marketsJson},"external_urls":{"spotify":"https://open.spotify.com/album/${id}"},"href":"https://api.spotify.com/v1/albums/${id}","id":"${id}","images":[${images}],"name":"Album No. ${n} (Deluxe Édition)","release_date":"${1960 + (n % 65)}-0${1 + (n % 9)}-1${n % 10}","release_date_precision":"day","total_tracks":${4 + (n % 9)},"type":"album","uri":"spotify:album:${id}"}`
}

function trackJson(n: number, artistCount: number): [string, string] {
  const id = trackId(n)
  const artists = artistsOf(n, artistCount).map(artistJson)
  const name = n % 10 === 0 ? `日本の歌 ${n} – “Live”` : `A Track of Some Length, No. ${n}`
  const album = albumJson(albumOf(n), artists[0] ?? '')
  return [
    `{"album":${album},"artists":[${artists.join(',')}],"available_markets":${marketsJson},"disc_number":1,"duration_ms":${120_000 + n * 97},"explicit":${n % 5 === 0},"external_ids":{"isrc":"GBBENCH${String(n).padStart(5, '0')}"},"external_urls":{"spotify":"https://open.spotify.com/track/${id}"},"href":"https://api.spotify.com/v1/tracks/${id}","id":"${id}","is_local":false,"name":"${name}","popularity":`,
    `,"preview_url":null,"track_number":${1 + (n % 12)},"type":"track","uri":"spotify:track:${id}"}`,
  ]
}

/** A third each of playlists, albums and no context; the same for a play on every page. */
function contextJson(userId: number, place: number): string {
  const session = Math.floor(place / 12)
  const kind = hash32(userId, session) % 3
  if (kind === 0) return 'null'
  const type = kind === 1 ? 'playlist' : 'album'
  const id = spotifyId(type, hash32(userId, session) % 500)
  return `{"type":"${type}","href":"https://api.spotify.com/v1/${type}s/${id}","external_urls":{"spotify":"https://open.spotify.com/${type}/${id}"},"uri":"spotify:${type}:${id}"}`
}
