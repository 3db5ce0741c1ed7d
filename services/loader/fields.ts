import { createHash } from 'node:crypto'

/**
 * Reads foreign JSON. A value of another type than asked for counts as absent, and every result can be stored: no
 * page makes Postgres refuse a statement.
 */

export type JsonObject = Readonly<Record<string, unknown>>

const replacement = '\uFFFD'
const maxInt32 = 2_147_483_647

/** Longest id kept as it is, in UTF-16 units: 900 bytes at most, as an index entry holds no more than 2,700. */
export const maxIdLength = 300

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value of a JSON text, or null if it is not JSON. */
export function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Replaces what Postgres cannot hold, NUL and halves of surrogate pairs, by U+FFFD. */
export function storable(text: string): string {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed()
  return wellFormed.includes('\0') ? wellFormed.replaceAll('\0', replacement) : wellFormed
}

/** Reads a text of parsed JSON: a storable one, or null if the value is not a text. */
export type ReadText = (value: unknown) => string | null

/** Reads a text of JSON that was decoded as UTF-8. */
export function textOf(value: unknown): string | null {
  return typeof value === 'string' ? storable(value) : null
}

const beyondAscii = /[^\0-\x7f]/

/**
 * Reads a text of JSON without `\u` escapes that was decoded as Latin-1. The result is the same as if all of the
 * JSON had been decoded as UTF-8, because a text begins and ends with a quote, which is ASCII. Such JSON cannot
 * contain NUL or halves of surrogate pairs.
 */
export function latin1TextOf(value: unknown): string | null {
  if (typeof value !== 'string') return null
  return beyondAscii.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value
}

/** A whole number of at least `min`, within 32 bits, or null. */
export function int32Of(value: unknown, min = 0): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= maxInt32
    ? value
    : null
}

/** A whole number of at least 0 that JavaScript holds exactly, or null. */
export function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null
}

/** A number rounded to a 32-bit float, or null. */
export function float32Of(value: unknown): number | null {
  if (typeof value !== 'number') return null
  const rounded = Math.fround(value)
  return Number.isFinite(rounded) ? rounded : null
}

/**
 * The id of a track, album or artist: `id`, else `uri` (local files have no id), else null. One that is too
 * long for an index is cut and made unique by its digest.
 */
export function idOf(entity: JsonObject, read: ReadText = textOf): string | null {
  const text = read(entity.id) || read(entity.uri)
  if (!text) return null
  if (text.length <= maxIdLength) return text
  return `${text.slice(0, 200).toWellFormed()}:sha256:${sha256(text)}`
}

/** Images as JSON text, with address and size of each; or null if the field is absent. */
export function imagesOf(value: unknown, read: ReadText = textOf): string | null {
  if (!Array.isArray(value)) return null
  const images = value.filter(isObject).map((image) => ({
    url: read(image.url),
    height: int32Of(image.height),
    width: int32Of(image.width),
  }))
  return JSON.stringify(images)
}

/** The texts of a list, or null if the field is absent. */
export function textsOf(value: unknown): string[] | null {
  if (!Array.isArray(value)) return null
  return value.map(textOf).filter((text) => text !== null)
}

/** SHA-256 in hexadecimal. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
