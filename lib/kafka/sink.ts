import type { DeadLetterReason } from './dead-letter.ts'
import type { DecodedRecord, RawRecord, ValueRecord } from './record.ts'

/** A record that cannot be dealt with, and why. The Kafka module publishes it and then commits. */
export interface DeadLetter {
  record: RawRecord
  reason: DeadLetterReason
  /** For a person; names the item or field. */
  message: string
}

/**
 * Deals with a batch of one partition, in offset order: makes the effect durable and returns the records that
 * could not be dealt with. Throws a retriable error for an outage (the batch comes again, whole); any other
 * error is a bug, and the batch is bisected to the smallest set that shows it.
 */
export type Handler<V> = (records: ValueRecord<V>[], signal: AbortSignal) => Promise<DeadLetter[]>

/** How far a sink has come. */
export interface Settled {
  /** Offset of the last record whose effect is durable, to be committed; null: nothing new. */
  through: number | null
  deadLetters: DeadLetter[]
}

/**
 * Takes the records of one partition for one term of ownership. The Kafka module calls one method at a time,
 * never two at once, and throws the sink away at a rebalance: what it had not settled is read again by the
 * partition's next owner.
 */
export interface PartitionSink<V> {
  /**
   * Takes records in offset order. May keep them and settle later.
   * @throws a retriable error: the same records come again after a pause, so none may have been kept
   */
  write(records: DecodedRecord<V>[]): Promise<Settled>
  /** Called about once a second while nothing arrives: a chance to settle what has waited long enough. */
  tick(): Promise<Settled>
  /** Releases what it holds (files, buffers) without any further effect. */
  close(): Promise<void>
}
