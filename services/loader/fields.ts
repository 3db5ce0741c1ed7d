import { createHash } from 'node:crypto'

/**
 * Reading of foreign JSON. Whatever has not the type that is asked for counts as absent, and whatever comes out
 * here can be stored: no page, however odd, makes Postgres refuse a statement.
 */

export type JsonObject = Readonly<Record<string, unknown>>

const replacement = '\uFFFD'
const maxInt32 = 2_147_483_647

/** Longest id kept as it is, in UTF-16 units: 900 bytes at most, as an index entry holds no more than 2,700. */
export const maxIdLength = 300

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a text is as JSON; null when it is none. */
export function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Text with U+FFFD in place of what Postgres cannot hold: NUL and halves of surrogate pairs. */
export function storable(text: string): string {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed()
  return wellFormed.includes('\0') ? wellFormed.replaceAll('\0', replacement) : wellFormed
}

/** Reads a text of parsed JSON: storable, or null when it is none. */
export type ReadText = (value: unknown) => string | null

/** Reads a text of JSON that was parsed as it was meant. */
export function textOf(value: unknown): string | null {
  return typeof value === 'string' ? storable(value) : null
}

const beyondAscii = /[^\0-\x7f]/

/**
 * Reads a text of JSON without escapes by `\u` whose bytes were taken for Latin-1: what comes out is what
 * decoding all of it as UTF-8 had given, as a text begins and ends with a quote, which is ASCII. NUL and halves
 * of surrogate pairs cannot stand in such JSON.
 */
export function latin1TextOf(value: unknown): string | null {
  if (typeof value !== 'string') return null
  return beyondAscii.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value
}

/** A whole number from `min` up, within 32 bits, or null. */
export function int32Of(value: unknown, min = 0): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= maxInt32
    ? value
    : null
}

/** A whole number from 0 up, exact in JavaScript, or null. */
export function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null
}

/** A number as a 32-bit float holds it, or null. */
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

/** Images as JSON text: address and size of each; null when the field is absent. */
export function imagesOf(value: unknown, read: ReadText = textOf): string | null {
  if (!Array.isArray(value)) return null
  const images = value.filter(isObject).map((image) => ({
    url: read(image.url),
    height: int32Of(image.height),
    width: int32Of(image.width),
  }))
  return JSON.stringify(images)
}

/** Texts of a list; null when the field is absent. */
export function textsOf(value: unknown): string[] | null {
  if (!Array.isArray(value)) return null
  return value.map(textOf).filter((text) => text !== null)
}

/** SHA-256 in hexadecimal. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
