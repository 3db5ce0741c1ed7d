import { crc32 } from 'node:zlib'
import type { RawRecord } from './record.ts'

/** What one record of a log is known by. */
export interface LogMark {
  /** Unix time in milliseconds. */
  timestamp: number
  /** CRC-32 of key, value and headers. */
  checksum: number
}

/** The log that an offset was committed in, as far as it is known. */
export interface LogIdentity {
  /** Kafka's id of the topic, which changes when a topic of the same name is made again, or null if it is not known. */
  topicId: string | null
  /** The last record before the offset, or null if it is not known. */
  last: LogMark | null
}

/** A partition's log as it is now, and a position in it. */
export interface LogPosition extends LogIdentity {
  /** Offset of the record to be read next. */
  position: number
}

export interface LogState {
  topicId: string | null
  start: number
  end: number
  /** The record right before the position, or null if there was none or retention or compaction removed it. */
  before: LogMark | null
}

/** `forgotten`: the same log, as far as is known, but it no longer has the record of the position. */
export type LogVerdict = 'same' | 'forgotten' | 'replaced'

/**
 * Whether a position belongs to a log. An id that differs decides alone: records of the new log may have been read
 * on from the old position before anybody saw the change. What is not known speaks for neither.
 */
export function judgeLog(known: LogPosition, log: LogState): LogVerdict {
  if (known.topicId && log.topicId && known.topicId !== log.topicId) return 'replaced'
  if (known.position > log.end) return 'replaced'
  if (known.position < log.start) return 'forgotten'
  return known.last && log.before && !sameMark(known.last, log.before) ? 'replaced' : 'same'
}

export function sameMark(a: LogMark, b: LogMark): boolean {
  return a.timestamp === b.timestamp && a.checksum === b.checksum
}

export function toMark({
  timestamp,
  key,
  headers,
  bytes,
}: Pick<RawRecord, 'timestamp' | 'key' | 'headers' | 'bytes'>): LogMark {
  let checksum = 0
  const add = (part: Buffer | null) => {
    // The length too, so that bytes which move from one part to the next make a difference.
    checksum = crc32(String(part?.length ?? null), checksum)
    if (part) checksum = crc32(part, checksum)
  }
  add(key)
  add(bytes)
  for (const { name, value } of headers) {
    add(Buffer.from(name, 'utf8'))
    add(value)
  }
  return { timestamp, checksum }
}

/** The text of a commit: JSON of about 100 characters; a broker takes 4096. */
export function toCommitText({ topicId, last }: LogIdentity): string {
  return JSON.stringify({ topicId, ...(last && { timestamp: last.timestamp, checksum: last.checksum }) })
}

/** Reads a commit's text; what older versions, operators and other tools commit says nothing. */
export function parseCommitText(text: string | null): LogIdentity {
  const value = parseJson(text)
  const { topicId, timestamp, checksum } = (
    typeof value === 'object' && value !== null ? value : {}
  ) as Record<string, unknown>
  return {
    topicId: typeof topicId === 'string' ? topicId : null,
    last:
      Number.isInteger(timestamp) && Number.isInteger(checksum)
        ? { timestamp: timestamp as number, checksum: checksum as number }
        : null,
  }
}

function parseJson(text: string | null): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return null
  }
}
