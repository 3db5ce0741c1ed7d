import type { DeadLetter } from './dead-letter.ts'
import type { DecodedRecord, ValueRecord } from './record.ts'

/**
 * Deals with a batch of one partition, in offset order. The pure half: transforms the records, without a clock, a
 * client or `await`, and returns the effect. What it throws is the fault of the records: the batch is bisected to
 * the smallest set that shows it, and that is dead-lettered.
 */
export type Handler<V> = (records: ValueRecord<V>[]) => Effect

/**
 * The other half: makes the effect durable and returns the records that could not be dealt with. What it throws is
 * an outage, and the batch comes again whole, unless records are to blame ({@link isRecordFault}).
 */
export type Effect = (signal: AbortSignal) => Promise<DeadLetter[]>

/** How far a sink has come. */
export interface Settled {
  /** Offset of the last record whose effect is durable, to be committed, or null if nothing is new. */
  through: number | null
  deadLetters: DeadLetter[]
}

/**
 * Takes the records of one partition for one generation of the group. The Kafka module calls one method at a time,
 * never two at once, and throws the sink away at a rebalance: what it had not settled is read again by the
 * partition's next owner.
 */
export interface PartitionSink<V> {
  /**
   * It keeps nothing of a batch that it has settled: after a flood of dead letters the same batch may be written
   * again, as if it came for the first time. Otherwise what it has returned is kept, and judged again as it is.
   */
  readonly isRepeatable?: boolean
  /**
   * Takes records in offset order. May keep them and settle later.
   *
   * @param more whether the partition is known to hold more records behind these; absent: not known
   * @throws for an outage: the same records, or the first of them, come again after a pause
   */
  write(records: DecodedRecord<V>[], more?: boolean): Promise<Settled>
  /**
   * Called about once a second while nothing arrives: a chance to settle what has waited long enough.
   *
   * @param more as above: more records wait, but have not been fetched yet
   */
  tick(more?: boolean): Promise<Settled>
  /** Releases what it holds (files, buffers) without any further effect. */
  close(): Promise<void>
}

/**
 * Makes the sink of a partition for one generation of the group. The signal is aborted when the generation ends: the
 * sink's unfinished work may be cut short.
 */
export type OpenSink<V> = (topic: string, partition: number, signal: AbortSignal) => PartitionSink<V>
