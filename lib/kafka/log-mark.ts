import { crc32 } from 'node:zlib'
import type { RawRecord } from './record.ts'

/** Identifies one record of a log. */
export interface LogMark {
  /** Unix time in milliseconds. */
  timestamp: number
  /** CRC-32 of key, value and headers. */
  checksum: number
}

/** The log that an offset was committed in, as far as it is known. */
export interface LogIdentity {
  /** Kafka's id of the topic, which changes when the topic is deleted and created again, or null if it is not known. */
  topicId: string | null
  /** The last record before the offset, or null if it is not known. */
  last: LogMark | null
}

/** A group's position, and the log that it belongs to. */
export interface LogPosition extends LogIdentity {
  /** Offset of the record that is read next. */
  position: number
}

/** A partition's log as it is now. */
export interface LogState {
  topicId: string | null
  start: number
  end: number
  /** The record right before the position, or null if there was none or retention or compaction removed it. */
  before: LogMark | null
}

/** `forgotten`: as far as is known the same log, but it no longer has the record at the position. */
export type LogVerdict = 'same' | 'forgotten' | 'replaced'

/**
 * Whether a position belongs to a log. A different topic id alone is enough: records of the new log may have been read
 * from the old position before the change was noticed. A value that is not known decides nothing.
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
    // With the length, the same bytes split differently over the parts give another checksum.
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

/** The metadata text of a commit: JSON of about 100 characters, where a broker takes 4096 by default. */
export function toCommitText({ topicId, last }: LogIdentity): string {
  return JSON.stringify({ topicId, ...(last && { timestamp: last.timestamp, checksum: last.checksum }) })
}

/** Reads a commit's metadata text; those of older versions, operators and other tools identify no log. */
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
