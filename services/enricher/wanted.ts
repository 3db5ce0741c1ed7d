import type { DeadLetterReason } from '../../lib/kafka/dead-letter.ts'
import type { ValueRecord } from '../../lib/kafka/record.ts'
import type { MetadataKind, MetadataRequest } from '../../lib/topology.ts'
import { metadataKey } from '../../lib/topology.ts'

/** A well-formed request. */
export interface Wanted {
  kind: MetadataKind
  id: string
  key: string
  /** Unix time in milliseconds. */
  requestedAt: number
}

export type Checked =
  | { type: 'wanted'; wanted: Wanted }
  | { type: 'dead-letter'; reason: DeadLetterReason; message: string }

const kinds: readonly MetadataKind[] = ['track', 'artist', 'audio-features']
const idPattern = /^[0-9A-Za-z]{22}$/
/** Largest time that a Date and a timestamptz can both hold. */
const maxTime = 8.64e15
const shownMax = 40

/** Checks a record of `metadata.wanted`: only a well-formed id may become part of a URL. */
export function checkRequest(record: ValueRecord<MetadataRequest>): Checked {
  const { kind, id, requestedAt } = record.value
  const known = kinds.find((k) => k === kind)
  if (!known) return deadLetter('unknown_kind', `The kind is ${shown(kind)}`)
  if (!idPattern.test(id)) return deadLetter('invalid_record', `The id is ${shown(id)}`)
  if (!(requestedAt >= 0 && requestedAt <= maxTime))
    return deadLetter('invalid_record', `requestedAt is ${requestedAt}`)
  const key = metadataKey(known, id)
  if (record.key?.toString('utf8') !== key) return deadLetter('invalid_key', `The key is not ${key}`)
  return { type: 'wanted', wanted: { kind: known, id, key, requestedAt } }
}

function deadLetter(reason: DeadLetterReason, message: string): Checked {
  return { type: 'dead-letter', reason, message }
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, shownMax).toWellFormed())
}
