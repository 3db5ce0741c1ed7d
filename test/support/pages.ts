import type { Header, ValueRecord } from '../../lib/kafka/record.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'

/** Pages and answers in Spotify's shapes, small enough to read in a test. */

export type Json = Record<string, unknown>

/** A Spotify id (22 characters) from a short name, which must not end with a z. */
export function idFor(name: string): string {
  return name.replace(/[^0-9A-Za-z]/g, '').padEnd(22, 'z')
}

/** A track as Development Mode shows it; `over` replaces fields. */
export function track(name: string, over: Json = {}): Json {
  const id = idFor(name)
  return {
    id,
    name,
    type: 'track',
    uri: `spotify:track:${id}`,
    duration_ms: 180_000,
    explicit: false,
    is_local: false,
    external_ids: { isrc: 'GBAYE6800011' },
    artists: [simpleArtist(`Artist of ${name}`)],
    album: {
      id: idFor(`Album of ${name}`),
      name: `Album of ${name}`,
      album_type: 'album',
      release_date: '1968-11',
      images: [{ url: 'https://i.scdn.co/image/1', height: 640, width: 640 }],
    },
    ...over,
  }
}

export function simpleArtist(name: string): Json {
  return { id: idFor(name), name, type: 'artist', uri: `spotify:artist:${idFor(name)}` }
}

export function item(playedAt: number, trackName: string, over: Json = {}): Json {
  return { track: track(trackName), played_at: new Date(playedAt).toISOString(), context: null, ...over }
}

export function localFile(name: string): Json {
  const artists = [{ id: null, name: 'Home Recordings', type: 'artist', uri: null }]
  const album = { id: null, name: 'Tapes', album_type: null, images: [], release_date: null }
  return track(name, { id: null, uri: `spotify:local:Home:Tapes:${name}:12`, is_local: true, artists, album })
}

export function pageBody(items: readonly unknown[]): Buffer {
  return Buffer.from(JSON.stringify({ items, next: null, cursors: null, limit: 50, href: 'https://x' }))
}

export interface RecordOptions {
  user?: number | string
  fetchedAt: number
  partition?: number
  offset?: number
  key?: string | null
  headers?: Header[]
  value?: Partial<SpotifyResponse>
}

/** A record of `spotify.recently-played` with a page of these items. */
export function pageRecord(items: readonly unknown[], options: RecordOptions): ValueRecord<SpotifyResponse> {
  const { user = 7, fetchedAt, partition = 0, offset = 0, headers = [] } = options
  const key = options.key === undefined ? String(user) : options.key
  return {
    topic: 'spotify.recently-played',
    partition,
    offset,
    timestamp: fetchedAt,
    key: key === null ? null : Buffer.from(key),
    headers,
    bytes: null,
    value: {
      endpoint: 'recently-played',
      subject: String(user),
      source: 'poll',
      fetchedAt,
      status: 200,
      body: pageBody(items),
      ...options.value,
    },
  }
}

/** A record of `spotify.metadata`; an object as body becomes JSON. */
export function entityRecord(
  kind: string,
  id: string,
  options: {
    fetchedAt: number
    body?: unknown
    status?: number
    offset?: number
    key?: string
    provider?: string
  },
): ValueRecord<SpotifyResponse> {
  const { fetchedAt, body = null, status = 200, offset = 0, key = `${kind}:${id}`, provider } = options
  return {
    topic: 'spotify.metadata',
    partition: 0,
    offset,
    timestamp: fetchedAt,
    key: Buffer.from(key),
    headers: provider === undefined ? [] : [{ name: 'provider', value: Buffer.from(provider) }],
    bytes: null,
    value: {
      endpoint: kind,
      subject: id,
      source: 'enrich',
      fetchedAt,
      status,
      body: Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)),
    },
  }
}
