import { LRUCache } from 'lru-cache'
import type { JsonObject } from './fields.ts'
import { isObject } from './fields.ts'

interface KnownTrack {
  /** Its JSON, as a page showed it. */
  bytes: Buffer
  /** What is read of it; texts are Latin-1 of their bytes. */
  track: JsonObject
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
    sizeCalculation: ({ bytes }) => bytes.length,
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
    const length = stop - start
    if (known?.bytes.length === length && body.compare(known.bytes, 0, length, start, stop) === 0)
      return known.track
    const json = parseOrNull(body.toString('latin1', start, stop))
    if (!isObject(json)) return null
    const track = toNeeded(json)
    this.#tracks.set(tail, { bytes: Buffer.from(body.subarray(start, stop)), track })
    return track
  }
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
