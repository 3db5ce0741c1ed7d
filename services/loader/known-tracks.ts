import { LRUCache } from 'lru-cache'
import type { JsonObject } from './fields.ts'
import { isObject } from './fields.ts'

/**
 * A track's JSON, as a page showed it, without its popularity: as a rule nothing else changes from day to day.
 */
interface KnownTrack {
  /** Up to the popularity; all of a track that shows none. */
  head: Buffer
  /** From behind the popularity on; null of a track that shows none. */
  rest: Buffer | null
  /** What is read of it; texts are Latin-1 of their bytes. */
  track: JsonObject
  /** The same with each popularity that was shown. One object for each: others remember what they know of it. */
  byPopularity: Map<number, JsonObject>
}

/** JSON of a page in which marks stand for tracks. */
interface Folded {
  text: string
  /** By the number in the mark. */
  tracks: readonly JsonObject[]
}

/** JSON kept, in bytes; what was read of it takes about as much again. */
const maxBytes = 8 << 20

const before = Buffer.from('{"track":')
const after = Buffer.from(',"played_at":"')
const brace = 0x7b
const zero = 0x30
/** The last popularity in a track's JSON. */
const popularityIn = /^(?<before>.*"popularity":)(?<number>\d+)(?<rest>[,}].*)$/s
/** Pages of a few days may come by turns: partitions are read at a time, not in step. */
const maxPopularities = 8
/** The end of a track holds its id: `"uri":"spotify:track:…"}`. */
const tailLength = 40

/**
 * Remembers tracks by the bytes of their JSON. A track is most of an item, and the same one is on many pages: so it
 * is parsed once, and taken out of the pages before they are.
 *
 * Whatever stands in a page, what comes out is what `JSON.parse` makes of it: bytes are taken out only where they
 * are by themselves one value, and a value of the same place is put in.
 */
export class KnownTracks {
  readonly #tracks = new LRUCache<string, KnownTrack>({
    maxSize: maxBytes,
    sizeCalculation: ({ head, rest }) => head.length + (rest?.length ?? 0),
  })

  /**
   * @param body of a page without escapes by `\u`: no text of it then begins with NUL, as the marks do
   * @throws SyntaxError when what is left of the page is no JSON
   */
  parse(body: Buffer, end: string): unknown {
    const { text, tracks } = this.#fold(body)
    const json: unknown = JSON.parse(text + end)
    if (isObject(json) && Array.isArray(json.items)) unfold(json.items, tracks)
    return json
  }

  #fold(body: Buffer): Folded {
    const tracks: JsonObject[] = []
    let text = ''
    let done = 0
    for (let at = body.indexOf(before); at >= 0; ) {
      const start = at + before.length
      const stop = body.indexOf(after, start)
      if (stop < 0) break
      const track = body[start] === brace ? this.#read(body, start, stop) : null
      if (track) {
        text += `${body.toString('latin1', done, start)}${markOf(tracks.length)}`
        tracks.push(track)
        done = stop
      }
      at = body.indexOf(before, stop)
    }
    return { text: text + body.toString('latin1', done), tracks }
  }

  /** The track whose JSON lies from `start` up to `stop`; null when that is not one object. */
  #read(body: Buffer, start: number, stop: number): JsonObject | null {
    const tail = body.toString('latin1', Math.max(start, stop - tailLength), stop)
    const known = this.#tracks.get(tail)
    const read = known && readKnown(known, body.subarray(start, stop))
    if (read) return read
    const text = body.toString('latin1', start, stop)
    const json = parseOrNull(text)
    if (!isObject(json)) return null
    const track = toNeeded(json)
    this.#tracks.set(tail, { ...splitAtPopularity(text, json), track, byPopularity: new Map() })
    return track
  }
}

/** What is read of a track that differs from a known one in its popularity at most; null when it does in more. */
function readKnown({ head, rest, track, byPopularity }: KnownTrack, bytes: Buffer): JsonObject | null {
  const headLength = head.length
  const restAt = bytes.length - (rest?.length ?? 0)
  if (restAt < headLength || bytes.compare(head, 0, headLength, 0, headLength) !== 0) return null
  if (rest === null) return restAt === headLength ? track : null
  if (bytes.compare(rest, 0, rest.length, restAt) !== 0) return null
  const shown = wholeNumberOf(bytes, headLength, restAt)
  if (shown === null) return null
  const known = byPopularity.get(shown)
  if (known) return known
  const fresh = { ...track, popularity: shown }
  if (byPopularity.size === maxPopularities) byPopularity.clear()
  byPopularity.set(shown, fresh)
  return fresh
}

/** Takes the popularity out of a track's JSON, where the number that stands there is the track's and nothing else. */
function splitAtPopularity(text: string, track: JsonObject): Pick<KnownTrack, 'head' | 'rest'> {
  const { before: start, number, rest } = popularityIn.exec(text)?.groups ?? {}
  if (start === undefined || rest === undefined || track.popularity !== Number(number))
    return { head: toBytes(text), rest: null }
  const other = parseOrNull(`${start}-1${rest}`)
  if (!isObject(other) || other.popularity !== -1) return { head: toBytes(text), rest: null }
  const bytes = toBytes(start + rest)
  return { head: bytes.subarray(0, start.length), rest: bytes.subarray(start.length) }
}

/** In memory of their own: a part of what Node shares among small buffers would keep all of it. */
function toBytes(latin1: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(latin1.length)
  bytes.write(latin1, 'latin1')
  return bytes
}

/** The number that some bytes are in JSON, of up to three digits; null when they are none. */
function wholeNumberOf(bytes: Buffer, start: number, end: number): number | null {
  const length = end - start
  if (length < 1 || length > 3 || (length > 1 && bytes[start] === zero)) return null
  let number = 0
  for (let i = start; i < end; i++) {
    const digit = (bytes[i] ?? 0) - zero
    if (digit < 0 || digit > 9) return null
    number = number * 10 + digit
  }
  return number
}

/** A track without what nothing is made of: the lists of markets are most of its memory. */
function toNeeded(track: JsonObject): JsonObject {
  const { id, uri, type, name, duration_ms, explicit, popularity, external_ids, artists, album } = track
  const needed = { id, uri, type, name, duration_ms, explicit, popularity, external_ids, artists }
  if (!isObject(album)) return needed
  const { album_type, release_date, images } = album
  return {
    ...needed,
    album: { id: album.id, uri: album.uri, name: album.name, album_type, release_date, images },
  }
}

function markOf(index: number): string {
  return `"\\u0000${index}"`
}

function unfold(items: readonly unknown[], tracks: readonly JsonObject[]): void {
  for (const item of items as { track?: unknown }[]) {
    if (isObject(item) && typeof item.track === 'string' && item.track[0] === '\0')
      item.track = tracks[Number(item.track.slice(1))]
  }
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
