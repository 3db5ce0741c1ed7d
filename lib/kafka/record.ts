import type { Decoded } from '../codec.ts'

/** One record header; a name may occur more than once. */
export interface Header {
  name: string
  value: Buffer | null
}

/** A record as it is in a topic. Offsets are numbers: they stay below 2^53. */
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
  /** Kafka's id of the topic that it was read from; absent if not known. */
  topicId?: string
  /** Number of the partition's log, as the archive counts them; absent if not known. */
  incarnation?: number
}

/** A record to publish. */
export interface OutRecord {
  key: Buffer | string | null
  /** Null for a tombstone. */
  value: Buffer | null
  headers?: Header[]
  /** Unix time in milliseconds; default: now. */
  timestamp?: number
  /** Default: by murmur2 of the key, as in the Java client. */
  partition?: number
}

/** An operator has buried the record: it becomes a dead letter without being decoded. */
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

/** The first header with a name, as text; null if there is none. */
export function headerText(record: Pick<RawRecord, 'headers'>, name: string): string | null {
  return record.headers.find((h) => h.name === name)?.value?.toString('utf8') ?? null
}
