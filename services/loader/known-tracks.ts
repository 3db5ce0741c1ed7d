import { LRUCache } from 'lru-cache'
import type { JsonObject } from './fields.ts'
import { isObject, latin1TextOf, parseOrNull } from './fields.ts'
import type { TrackReading } from './item.ts'
import { readTrack } from './item.ts'

/**
 * A track's JSON as a page showed it, without its popularity: usually nothing else changes from day to day.
 */
interface KnownTrack {
  /** The bytes before the popularity, or all bytes if there is none. */
  head: Buffer
  /** The bytes after the popularity, or null if there is none. */
  rest: Buffer | null
  reading: TrackReading
  /**
   * The reading with each popularity shown, by its text. The objects are reused, because {@link CommittedRows}
   * caches by object.
   */
  byPopularity: Map<string, TrackReading>
}

/** JSON of a page in which marks stand for tracks. */
interface Folded {
  text: string
  /** By the number in the mark. */
  tracks: readonly TrackReading[]
}

/** Bytes of JSON kept; the readings take about as much again. */
const maxBytes = 8 << 20

const before = Buffer.from('{"track":')
const after = Buffer.from(',"played_at":"')
const brace = 0x7b
/** The last popularity in a track's JSON. */
const popularityIn = /^(?<start>.*"popularity":)(?<number>\d+)(?<rest>[,}].*)$/s
/** A whole number of JSON. */
const shortNumber = /^(?:0|[1-9]\d{0,2})$/
/** Pages of several days may alternate, because partitions are not read in step. */
const maxPopularities = 8
/** The end of a track holds its id: `"uri":"spotify:track:…"}`. */
const tailLength = 40

/**
 * Remembers tracks by the bytes of their JSON. A track is most of an item, and the same one is on many pages: it is
 * read once, and taken out of pages before they are parsed. It depends on no stored data, so it never becomes
 * stale.
 *
 * For every page the result is the same as that of `JSON.parse`: bytes are replaced only if they are one complete
 * value, and a value takes their place.
 */
export class KnownTracks {
  readonly #tracks = new LRUCache<string, KnownTrack>({
    maxSize: maxBytes,
    sizeCalculation: ({ head, rest }) => head.length + (rest?.length ?? 0),
  })

  /**
   * Parses a page's bytes as Latin-1.
   *
   * @param body of a page without `\u` escapes: none of its texts begins with NUL, as the marks do
   * @param end text that completes the JSON of a page that was cut
   * @returns the JSON, and a function that reads the tracks of its items
   * @throws SyntaxError if what is left of the page is not JSON
   */
  parse(body: Buffer, end: string): { json: unknown; track: (value: unknown) => TrackReading } {
    const { text, tracks } = this.#fold(body)
    return {
      json: JSON.parse(text + end),
      track: (value) => (isMark(value) && tracks[numberOf(value)]) || readTrack(value, latin1TextOf),
    }
  }

  #fold(body: Buffer): Folded {
    const tracks: TrackReading[] = []
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

  /** The track whose JSON is between `start` and `stop`, or null if that is not one object. */
  #read(body: Buffer, start: number, stop: number): TrackReading | null {
    const tail = body.toString('latin1', Math.max(start, stop - tailLength), stop)
    const known = this.#tracks.get(tail)
    const read = known && readKnown(known, body.subarray(start, stop))
    if (read) return read
    const text = body.toString('latin1', start, stop)
    const json = parseOrNull(text)
    if (!isObject(json)) return null
    const fresh = toKnown(text, json)
    this.#tracks.set(tail, fresh)
    return fresh.reading
  }
}

/** The reading of a track that equals a known one but for the popularity, or null if it differs in more. */
function readKnown({ head, rest, reading, byPopularity }: KnownTrack, bytes: Buffer): TrackReading | null {
  const restAt = bytes.length - (rest?.length ?? 0)
  if (restAt < head.length || bytes.compare(head, 0, head.length, 0, head.length) !== 0) return null
  if (rest === null) return restAt === head.length ? reading : null
  if (bytes.compare(rest, 0, rest.length, restAt) !== 0) return null
  const number = bytes.toString('latin1', head.length, restAt)
  const known = byPopularity.get(number)
  if (known) return known
  if (!shortNumber.test(number) || reading.type !== 'track') return null
  const fresh: TrackReading = { ...reading, track: { ...reading.track, popularity: Number(number) } }
  if (byPopularity.size === maxPopularities) byPopularity.clear()
  byPopularity.set(number, fresh)
  return fresh
}

/** Takes the popularity out of a track's JSON, if the number found is the track's own popularity. */
function toKnown(text: string, json: JsonObject): KnownTrack {
  const reading = readTrack(json, latin1TextOf)
  const { start = '', number = '', rest = '' } = popularityIn.exec(text)?.groups ?? {}
  const other = json.popularity === Number(number) ? parseOrNull(`${start}-1${rest}`) : null
  if (!isObject(other) || other.popularity !== -1)
    return { head: toBytes(text), rest: null, reading, byPopularity: new Map() }
  return { head: toBytes(start), rest: toBytes(rest), reading, byPopularity: new Map([[number, reading]]) }
}

/** In memory of their own: a slice of the pool that Node shares among small buffers would keep the whole pool. */
function toBytes(latin1: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(latin1.length)
  bytes.write(latin1, 'latin1')
  return bytes
}

function markOf(index: number): string {
  return `"\\u0000${index}"`
}

function isMark(value: unknown): value is string {
  return typeof value === 'string' && value[0] === '\0'
}

function numberOf(mark: string): number {
  return Number(mark.slice(1))
}
