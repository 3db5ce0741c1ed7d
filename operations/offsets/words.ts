import { InvalidArgumentError } from 'commander'
import { toInstant } from '../../cli/terminal/moment.ts'

/** Offsets of one group, in the CSV of kafka-consumer-groups (`--export`, `--from-file`): topic,partition,offset. */
export interface OffsetLine {
  topic: string
  partition: number
  offset: number
}

export function toCsv(lines: readonly OffsetLine[]): string {
  return lines.map((l) => `${l.topic},${l.partition},${l.offset}\n`).join('')
}

/** Reads the CSV back; faults name their line. Topic names hold no comma and no quote. */
export function parseCsv(text: string): { lines: OffsetLine[]; faults: string[] } {
  const lines: OffsetLine[] = []
  const faults: string[] = []
  const seen = new Set<string>()
  for (const [i, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (raw.trim() === '') continue
    const cells = raw.split(',').map((c) => c.trim().replace(/^"(.*)"$/, '$1'))
    const [topic = '', partition = '', offset = ''] = cells
    const fits =
      cells.length === 3 &&
      /^[\w.-]{1,249}$/.test(topic) &&
      /^\d{1,9}$/.test(partition) &&
      /^\d{1,15}$/.test(offset)
    const place = `${topic}:${partition}`
    if (!fits) faults.push(`line ${i + 1} is not topic,partition,offset: ${raw.slice(0, 60)}`)
    else if (seen.has(place)) faults.push(`line ${i + 1} names ${place} again`)
    else lines.push({ topic, partition: Number(partition), offset: Number(offset) })
    seen.add(place)
  }
  return { lines, faults }
}

/** `topic` or `topic:0,1,2`. */
export interface TopicChoice {
  topic: string
  /** null: all of them. */
  partitions: number[] | null
}

/** For an option of commander's that may be given several times. */
export function collectTopic(text: string, before: TopicChoice[] = []): TopicChoice[] {
  const match = /^([\w.-]{1,249})(?::(\d{1,9}(?:,\d{1,9})*))?$/.exec(text)
  if (!match) throw new InvalidArgumentError('Give a topic, or topic:0,1,2.')
  const [, topic = '', list] = match
  return [...before, { topic, partitions: list === undefined ? null : list.split(',').map(Number) }]
}

/** `±n` records. */
export function parseShift(text: string): number {
  if (/^[+-]?\d{1,15}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Give a number of records, as in +100 or -100.')
}

export function parseDatetime(text: string): Date {
  const at = toInstant(text)
  if (at) return at
  throw new InvalidArgumentError('Give a date: 2026-11-24T08:15:00.000 (UTC unless it names a zone).')
}

/** An ISO 8601 duration, `PnDTnHnMnS`, in milliseconds. */
export function parseDuration(text: string): number {
  const match = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(text)
  const parts = match?.slice(1).map((part) => Number(part ?? 0)) ?? []
  if (!match || !/\d/.test(text)) throw new InvalidArgumentError('Give a duration: P7D, PT90M, P1DT12H.')
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = parts
  return ((((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000
}
