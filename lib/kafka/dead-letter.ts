import type { UndecodableReason } from '../codec.ts'
import type { Header, OutRecord, RawRecord } from './record.ts'
import { headerText } from './record.ts'

/** Every reason for which a record can become a dead letter. */
export const deadLetterReasons = {
  no_value: 'The record has no value where one is needed.',
  not_framed: 'The value does not begin with a schema id.',
  unknown_schema: 'The registry does not know the schema.',
  undecodable: 'The bytes do not fit their schema.',
  invalid_record: 'The decoded value lacks a field or has a wrong one.',
  invalid_key: 'The key is not what the topic prescribes.',
  invalid_json: 'The response body is not JSON.',
  invalid_page: 'The response body is JSON, but no page of plays.',
  invalid_entity: 'The response body is JSON, but not the entity that was asked for.',
  unexpected_status: 'The HTTP status is not one that carries data.',
  rejected_item: 'A page holds items that cannot be told; the others were stored.',
  unknown_kind: 'No metadata of this kind exists.',
  lookup_failed: 'A metadata source fails for this very request while it answers others.',
  buried: 'An operator gave the record up, because it held up its partition.',
  handler_error: 'A fault in the program: the record makes its handler fail.',
} as const satisfies Record<UndecodableReason | string, string>

export type DeadLetterReason = keyof typeof deadLetterReasons

/** A record that could not be handled, and why. The Kafka module publishes it and then commits. */
export interface DeadLetter {
  record: RawRecord
  reason: DeadLetterReason
  /** For a person; names the item or field. */
  message: string
}

/** What a dead letter holds beside the original record. */
export interface DeadLetterInfo {
  group: string
  reason: DeadLetterReason
  message: string
  /** Attempts at the record, the last one included. */
  attempts: number
  /** Unix time in milliseconds. */
  at: number
}

const prefix = 'dlq.'
/** In characters. Drivers quote the values they refuse, and the dead letter must fit into its topic. */
const messageMax = 4_000
/** Header of a record that was put back on its topic, for one group only. */
export const redriveGroupHeader = 'redrive.group'

/**
 * Headers of a dead letter: the original ones and the `dlq.*` ones of this death. Those of an earlier death or redrive
 * are left out, or each round would add more.
 */
export function deadLetterHeaders(record: RawRecord, info: DeadLetterInfo): Header[] {
  const own: [string, string][] = [
    ['topic', record.topic],
    ['partition', String(record.partition)],
    ['offset', String(record.offset)],
    ['timestamp', String(record.timestamp)],
    ['group', info.group],
    ['reason', info.reason],
    ['message', info.message.slice(0, messageMax)],
    ['attempts', String(info.attempts)],
    ['at', String(info.at)],
  ]
  return [
    ...record.headers.filter((h) => !h.name.startsWith(prefix) && h.name !== redriveGroupHeader),
    ...own.map(([name, text]) => ({ name: prefix + name, value: Buffer.from(text, 'utf8') })),
  ]
}

/**
 * Records for the topic of dead letters. Their timestamp is the time of death: with that of an old record, retention
 * would remove the dead letter at once.
 */
export function toDeadLetterRecords(
  letters: readonly DeadLetter[],
  { group, attempts, at }: Pick<DeadLetterInfo, 'group' | 'attempts' | 'at'>,
): OutRecord[] {
  return letters.map(({ record, reason, message }) => ({
    key: record.key,
    value: record.bytes,
    timestamp: at,
    headers: deadLetterHeaders(record, { group, reason, message, attempts, at }),
  }))
}

/** Where a dead letter came from and why it died, as its headers say. */
export interface DeadLetterOrigin {
  topic: string
  partition: number
  offset: number
  /** Of the original record; Unix time in milliseconds. */
  timestamp: number
  group: string
  /** One of {@link deadLetterReasons}, or a reason of an older or newer version. */
  reason: string
  message: string
  attempts: number
  at: number
}

/** When a record became a dead letter (Unix ms), or null if it is not a dead letter. */
export function diedAt(record: Pick<RawRecord, 'headers'>): number | null {
  return headerNumber(record, 'at')
}

/** Where a dead letter came from, or null if {@link deadLetterHeaders} did not make the record. */
export function readOrigin(record: Pick<RawRecord, 'headers'>): DeadLetterOrigin | null {
  const [topic, group, reason] = ['topic', 'group', 'reason'].map((n) => headerText(record, prefix + n))
  const [partition, offset, at] = ['partition', 'offset', 'at'].map((n) => headerNumber(record, n))
  if (!topic || !group || !reason) return null
  if (typeof partition !== 'number' || typeof offset !== 'number' || typeof at !== 'number') return null
  return {
    ...{ topic, partition, offset, group, reason, at },
    timestamp: headerNumber(record, 'timestamp') ?? at,
    message: headerText(record, `${prefix}message`) ?? '',
    attempts: headerNumber(record, 'attempts') ?? 1,
  }
}

/** Headers of a record that is put back for one group: its own, without those of its death. */
export function redriveHeaders(record: Pick<RawRecord, 'headers'>, group: string): Header[] {
  return [
    ...record.headers.filter((h) => !h.name.startsWith(prefix) && h.name !== redriveGroupHeader),
    { name: redriveGroupHeader, value: Buffer.from(group, 'utf8') },
  ]
}

function headerNumber(record: Pick<RawRecord, 'headers'>, name: string): number | null {
  const text = headerText(record, prefix + name)
  return text !== null && /^\d{1,16}$/.test(text) ? Number(text) : null
}
