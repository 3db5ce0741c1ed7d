import { InvalidArgumentError } from 'commander'
import type { TopicChoice } from '../../operations/offsets/move.ts'
import { toInstant } from '../terminal/moment.ts'

/** Parses an option of commander's that may be given several times. */
export function collectTopic(text: string, before: TopicChoice[] = []): TopicChoice[] {
  const match = /^([\w.-]{1,249})(?::(\d{1,9}(?:,\d{1,9})*))?$/.exec(text)
  if (!match) throw new InvalidArgumentError('Give a topic, or topic:0,1,2.')
  const [, topic = '', list] = match
  return [...before, { topic, partitions: list === undefined ? null : list.split(',').map(Number) }]
}

/** Parses a number of records with an optional sign. */
export function parseShift(text: string): number {
  if (/^[+-]?\d{1,15}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Give a number of records, as in +100 or -100.')
}

export function parseDatetime(text: string): Date {
  const at = toInstant(text)
  if (at) return at
  throw new InvalidArgumentError('Give a date: 2026-11-24T08:15:00.000 (UTC unless it names a zone).')
}

/** Parses an ISO 8601 duration, `PnWnDTnHnMnS`, to milliseconds. */
export function parseDuration(text: string): number {
  const match = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(text)
  const parts = match?.slice(1).map((part) => Number(part ?? 0)) ?? []
  if (!match || !/\d/.test(text)) throw new InvalidArgumentError('Give a duration: P7D, PT90M, P1DT12H.')
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = parts
  return ((((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000
}
