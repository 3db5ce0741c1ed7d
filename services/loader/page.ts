import type { DeadLetterReason } from '../../lib/kafka/dead-letter.ts'
import { redriveGroupHeader } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord, ValueRecord } from '../../lib/kafka/record.ts'
import { headerText } from '../../lib/kafka/record.ts'
import { excerptHeader, restoreHeaders } from '../../lib/kafka/restored.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { isObject, storable } from './fields.ts'

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
  /** When that record was made; Unix time in milliseconds. Null if not known: the page was made of stored plays. */
  timestamp: number | null
  /** Of its partition's log, or null for the log that the record was read from. */
  incarnation: number | null
  /** Put back on the topic by an operator, who wants to hear what becomes of it. */
  redriven: boolean
  /** Whether it shows all that Spotify showed: a page of an import does not, nor one that was made of stored plays. */
  isWindow: boolean
  /** Items on the page. */
  size: number
}

export type NoPage = { type: 'dead-letter'; reason: DeadLetterReason; message: string }

/** A page before its items are read. */
export type PageHead = { type: 'head'; page: Omit<Page, 'size'>; body: Buffer }

/** The order of the database's bigint, in which rows of users are locked by all who write. */
export function compareUsers(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}

const userIdPattern = /^[1-9]\d{0,17}$/
/** The last moment of the year 9999: what Postgres and JavaScript both print alike. */
const maxTimeMs = 253_402_300_799_999

/**
 * Reads all of one record of `spotify.recently-played` but its body.
 *
 * @returns dead letters `invalid_key`, `invalid_record`, `unexpected_status`
 */
export function toPageHead(record: ValueRecord<SpotifyResponse>): PageHead | NoPage {
  const { value } = record
  const userId = record.key?.toString('latin1') ?? ''
  if (!userIdPattern.test(userId)) return noPage('invalid_key', 'The key is not a user id in decimal text')
  if (value.subject !== userId) {
    return noPage('invalid_key', `The key says user ${userId}, the value "${clip(value.subject)}"`)
  }
  if (value.endpoint !== 'recently-played') {
    return noPage('invalid_record', `The endpoint is "${clip(value.endpoint)}", not recently-played`)
  }
  if (!isTime(value.fetchedAt)) return noPage('invalid_record', `fetchedAt is ${value.fetchedAt}`)
  if (value.status !== 200) return noPage('unexpected_status', `The status is ${value.status}`)
  const page = {
    record,
    userId,
    fetchedAt: value.fetchedAt,
    source: storable(value.source),
    isWindow: value.source !== 'import' && !isExcerpt(record),
    ...placeOf(record),
    redriven: headerText(record, redriveGroupHeader) !== null,
  }
  return { type: 'head', page, body: value.body }
}

/** The list of items of a body. @returns dead letters `invalid_json`, `invalid_page` */
export function toItems(parsed: Parsed): { type: 'items'; items: readonly unknown[] } | NoPage {
  if (parsed.type === 'invalid') return noPage('invalid_json', parsed.message)
  if (!isObject(parsed.json) || !Array.isArray(parsed.json.items)) {
    return noPage('invalid_page', 'The body has no list of items')
  }
  return { type: 'items', items: parsed.json.items }
}

type Parsed = { type: 'json'; json: unknown } | { type: 'invalid'; message: string }

/** JSON of a response body, or why it is none. */
export function parseJson(body: Buffer): Parsed {
  try {
    return { type: 'json', json: JSON.parse(body.toString('utf8')) }
  } catch (error) {
    return { type: 'invalid', message: `${body.length} bytes: ${(error as SyntaxError).message}` }
  }
}

/** Whether a number is a time that can be stored, in Unix milliseconds. */
export function isTime(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value <= maxTimeMs
}

function restoredTimestamp(record: RawRecord): number | null {
  const timestamp = Number(headerText(record, restoreHeaders.timestamp) ?? Number.NaN)
  return isTime(timestamp) ? timestamp : null
}

function isExcerpt(record: RawRecord): boolean {
  return headerText(record, excerptHeader) !== null
}

type PagePlace = Pick<Page, 'partition' | 'offset' | 'timestamp' | 'incarnation'>

function placeOf(record: RawRecord): PagePlace {
  const partition = headerText(record, restoreHeaders.partition)
  const offset = headerText(record, restoreHeaders.offset)
  const log = headerText(record, restoreHeaders.incarnation)
  if (partition === null || offset === null || !/^\d{1,9}$/.test(partition) || !/^\d{1,15}$/.test(offset)) {
    const timestamp = isExcerpt(record) ? restoredTimestamp(record) : record.timestamp
    const { partition, offset, incarnation = null } = record
    return { partition, offset, timestamp, incarnation }
  }
  const timestamp = restoredTimestamp(record)
  const incarnation = log !== null && /^\d{1,9}$/.test(log) ? Number(log) : 0
  return { partition: Number(partition), offset: Number(offset), timestamp, incarnation }
}

function clip(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40).toWellFormed()}…` : text
}

function noPage(reason: DeadLetterReason, message: string): NoPage {
  return { type: 'dead-letter', reason, message }
}
