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
  /** The page's place in the topic, or its place before it was restored from the archive. */
  partition: number
  offset: number
  /** Timestamp of that record, Unix ms; or null if not known, as of a page that was made from stored plays. */
  timestamp: number | null
  /** Incarnation of its partition's log, or null for the log that the record was read from. */
  incarnation: number | null
  /** An operator redrove it and waits for the outcome. */
  redriven: boolean
  /** Whether it shows all that Spotify showed; pages of imports and pages made from stored plays do not. */
  isWindow: boolean
  /** Items on the page. */
  size: number
}

export type NoPage = { type: 'dead-letter'; reason: DeadLetterReason; message: string }

/** A page before its items are read. */
export type PageHead = { type: 'head'; page: Omit<Page, 'size'>; body: Buffer }

/** Compares user ids as Postgres compares bigints: all writers lock rows of users in this order. */
export function compareUsers(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}

const userIdPattern = /^[1-9]\d{0,17}$/
/** The last moment of the year 9999, up to which Postgres and JavaScript print times alike. */
const maxTimeMs = 253_402_300_799_999

/**
 * Reads a record of `spotify.recently-played` except its body.
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

/** The JSON of a response body, or why it cannot be parsed. */
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
