import type { DeadLetter } from './dead-letter.ts'
import type { DecodedRecord, ValueRecord } from './record.ts'

/**
 * Turns a batch of one partition, in offset order, into an effect. This is the pure half: it uses no clock, no client
 * and no `await`. An error that it throws is the fault of the records: the batch is bisected, and the records that
 * reproduce the error are dead-lettered.
 */
export type Handler<V> = (records: ValueRecord<V>[]) => Effect

/**
 * The other half: makes the changes durable and returns the records that could not be handled. An error that it throws
 * is an outage, and the whole batch comes again, unless records are to blame ({@link isRecordFault}).
 */
export type Effect = (signal: AbortSignal) => Promise<DeadLetter[]>

/** What a sink has settled. */
export interface Settled {
  /** Offset of the last record whose effect is durable, or null if nothing is new. */
  through: number | null
  deadLetters: DeadLetter[]
}

/**
 * Takes the records of one partition in one generation of the group. The Kafka module calls one method at a time and
 * closes the sink at a rebalance: the partition's next member reads again what was not settled.
 */
export interface PartitionSink<V> {
  /**
   * Whether a batch can be written again after it was settled, because the sink keeps nothing of it. After a flood of
   * dead letters the worker then repeats the batch; otherwise it judges the same result again.
   */
  readonly isRepeatable?: boolean
  /**
   * Takes records in offset order. May keep them and settle later.
   *
   * @param more whether more records wait in the partition behind these; absent if not known
   * @throws for an outage: the same records, or the first of them, come again after a pause
   */
  write(records: DecodedRecord<V>[], more?: boolean): Promise<Settled>
  /**
   * Called about once a second while nothing arrives: a chance to settle what has waited long enough.
   *
   * @param more as above; these records are not fetched yet
   */
  tick(more?: boolean): Promise<Settled>
  /** Releases its files and buffers, without any further effect. */
  close(): Promise<void>
}

/**
 * Opens the sink of a partition for one generation of the group. The signal is aborted when the generation ends: the
 * sink may then cut its work short.
 */
export type OpenSink<V> = (topic: string, partition: number, signal: AbortSignal) => PartitionSink<V>
