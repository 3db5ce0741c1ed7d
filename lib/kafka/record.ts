import type { Decoded } from '../codec.ts'

/** One record header; a name may occur more than once. */
export interface Header {
  name: string
  value: Buffer | null
}

/** A record as it lies in a topic. Offsets are numbers: they stay below 2^53. */
export interface RawRecord {
  topic: string
  partition: number
  offset: number
  /** Unix time in milliseconds. */
  timestamp: number
  key: Buffer | null
  headers: Header[]
  /** The value's bytes, or null for a tombstone. */
  bytes: Buffer | null
  /** Kafka's id of the topic that it was read from; absent: not known. */
  topicId?: string
  /** Of the partition's log, as the archive counts them; absent: not known. */
  incarnation?: number
}

/** A record to be published. */
export interface OutRecord {
  key: Buffer | string | null
  /** Null for a tombstone. */
  value: Buffer | null
  headers?: Header[]
  /** Unix time in milliseconds; absent: now. */
  timestamp?: number
  /** Absent: murmur2 of the key, as in the Java client. */
  partition?: number
}

/** An operator has given the record up: it becomes a dead letter undecoded. */
interface Buried {
  type: 'buried'
  reason: 'buried'
  message: string
}

/** A record whose value was decoded, or is known to be undecodable. */
export interface DecodedRecord<V> extends RawRecord {
  decoded: Decoded<V> | Buried
}

/** A record whose value was decoded. */
export interface ValueRecord<V> extends RawRecord {
  value: V
}

/** The first header of a name, as text. */
export function headerText(record: Pick<RawRecord, 'headers'>, name: string): string | null {
  return record.headers.find((h) => h.name === name)?.value?.toString('utf8') ?? null
}
