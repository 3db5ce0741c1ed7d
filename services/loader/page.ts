import type { DeadLetterReason } from '../../lib/kafka/dead-letter.ts'
import { redriveGroupHeader } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord, ValueRecord } from '../../lib/kafka/record.ts'
import { headerText } from '../../lib/kafka/record.ts'
import { excerptHeader, restoreHeaders } from '../../lib/kafka/restored.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { ReadText } from './fields.ts'
import { isObject, latin1TextOf, storable, textOf } from './fields.ts'
import type { KnownTracks } from './known-tracks.ts'
import type { Cut } from './shown-page.ts'
import { cutEnd } from './shown-page.ts'

/** One recently-played response of a user. */
export interface Page {
  record: RawRecord
  /** Decimal text, within 64 bits. */
  userId: string
  /** Unix time in milliseconds. */
  fetchedAt: number
  source: string
  /** Where the page lies, or lay before it was restored from the archive. */
  partition: number
  offset: number
  /** Put back on the topic by an operator, who wants to hear what becomes of it. */
  redriven: boolean
  /** Whether it shows all that Spotify showed: a page of an import does not, nor one that was made of stored plays. */
  isWindow: boolean
  /** Items on the page. */
  size: number
}

export type PageResult =
  | { type: 'page'; page: Page; items: readonly unknown[]; read: ReadText }
  | { type: 'dead-letter'; reason: DeadLetterReason; message: string }

const userIdPattern = /^[1-9]\d{0,17}$/
/** The last moment of the year 9999: what Postgres and JavaScript both print alike. */
const maxTimeMs = 253_402_300_799_999

/**
 * Reads one record of `spotify.recently-played`.
 *
 * @param way `plain` decodes all of the body. With the tracks that are known, the same is read faster; texts are then
 *   to be read with the `read` that comes back, and of a track there is what is stored of it
 * @param cut what is to be read of the body; null: all of it
 * @returns dead letters `invalid_key`, `invalid_record`, `unexpected_status`, `invalid_json`, `invalid_page`
 */
export function toPage(
  record: ValueRecord<SpotifyResponse>,
  way: 'plain' | KnownTracks,
  cut: Cut | null = null,
): PageResult {
  const { value } = record
  const userId = record.key?.toString('latin1') ?? ''
  if (!userIdPattern.test(userId))
    return deadLetter('invalid_key', 'The key is not a user id in decimal text')
  if (value.subject !== userId) {
    return deadLetter('invalid_key', `The key says user ${userId}, the value "${clip(value.subject)}"`)
  }
  if (value.endpoint !== 'recently-played') {
    return deadLetter('invalid_record', `The endpoint is "${clip(value.endpoint)}", not recently-played`)
  }
  if (!isTime(value.fetchedAt)) return deadLetter('invalid_record', `fetchedAt is ${value.fetchedAt}`)
  if (value.status !== 200) return deadLetter('unexpected_status', `The status is ${value.status}`)

  const body = parsePage(cut ? cut.rest : value.body, way, cut ? cutEnd : '')
  if (body.type === 'invalid') return deadLetter('invalid_json', body.message)
  if (!isObject(body.json) || !Array.isArray(body.json.items)) {
    return deadLetter('invalid_page', 'The body has no list of items')
  }
  return {
    type: 'page',
    page: {
      record,
      userId,
      fetchedAt: value.fetchedAt,
      source: storable(value.source),
      isWindow: value.source !== 'import' && headerText(record, excerptHeader) === null,
      ...placeOf(record),
      redriven: headerText(record, redriveGroupHeader) !== null,
      size: body.json.items.length + (cut?.repeated ?? 0),
    },
    items: body.json.items,
    read: body.read,
  }
}

type Parsed = { type: 'json'; json: unknown } | { type: 'invalid'; message: string }

/**
 * A name beyond Latin-1 anywhere in a page makes all of it a string of two bytes a character, which costs a third
 * of the parse. JSON's own characters are ASCII, so its bytes can be taken for Latin-1 and the few texts that are
 * stored be decoded one by one; only `\u` escapes could then not be told from bytes.
 */
function parsePage(body: Buffer, way: 'plain' | KnownTracks, end: string): Parsed & { read: ReadText } {
  if (way !== 'plain' && !body.includes('\\u')) {
    try {
      return { type: 'json', json: way.parse(body, end), read: latin1TextOf }
    } catch {
      // What is wrong with it is said in its own characters.
    }
  }
  return { ...parseJson(body, end), read: textOf }
}

/** JSON of a response body and the text after it, or why it is none. */
export function parseJson(body: Buffer, end = ''): Parsed {
  try {
    return { type: 'json', json: JSON.parse(body.toString('utf8') + end) }
  } catch (error) {
    return { type: 'invalid', message: `${body.length} bytes: ${(error as SyntaxError).message}` }
  }
}

/** Whether a number is a time that can be stored, in Unix milliseconds. */
export function isTime(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value <= maxTimeMs
}

function placeOf(record: RawRecord): { partition: number; offset: number } {
  const partition = headerText(record, restoreHeaders.partition)
  const offset = headerText(record, restoreHeaders.offset)
  if (partition === null || offset === null || !/^\d{1,9}$/.test(partition) || !/^\d{1,15}$/.test(offset)) {
    return { partition: record.partition, offset: record.offset }
  }
  return { partition: Number(partition), offset: Number(offset) }
}

function clip(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40).toWellFormed()}…` : text
}

function deadLetter(reason: DeadLetterReason, message: string): PageResult {
  return { type: 'dead-letter', reason, message }
}
