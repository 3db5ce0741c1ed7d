import { checkpoint } from '../checkpoint.ts'
import { messageOf, RetriableError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { metrics } from '../metrics.ts'
import { free } from '../zstd.ts'
import { FloodError } from './flood-valve.ts'
import type { LogMark } from './log-mark.ts'
import { LogMarks } from './log-marks.ts'
import { backoffMs, pause } from './pause.ts'
import type { DecodedRecord, RawRecord } from './record.ts'
import type { PartitionSink, Settled } from './sink.ts'

interface Effect extends Settled {
  records: number
}

/** A batch whose effect is durable. */
export interface SettledBatch extends Effect {
  attempts: number
}

/** What an effect threw: an outage. What is thrown elsewhere in here is a bug of this module. */
class Failure extends Error {}

async function attempt<T>(effect: () => Promise<T>): Promise<T> {
  try {
    return await effect()
  } catch (cause) {
    throw new Failure(messageOf(cause), { cause })
  }
}

const nothing: Effect = { through: null, deadLetters: [], records: 0 }

export interface WorkerOptions<V> {
  group: string
  topic: string
  partition: number
  /** The signal is aborted when the term ends: what the sink has in hand may be cut short. */
  open: (signal: AbortSignal) => PartitionSink<V>
  batchMaxRecords: number
  batchMaxBytes: number
  /** The sink keeps nothing of a batch that is settled: its memory is freed. */
  freesRecords: boolean
  /** Bytes in the queue above which {@link PartitionWorker.full} is true. */
  queueMaxBytes: number
  decode: (record: RawRecord) => Promise<DecodedRecord<V>>
  /** Runs work when its turn has come: how much is in work at a time, over all partitions, is bounded there. */
  inTurn: InTurn
  /** @throws FloodError when they would be too many: the batch is handled again later */
  publishDeadLetters: (outcome: SettledBatch) => Promise<void>
  /**
   * @param last the record before the offset; null: it is not known
   * @throws when the group did not take it; the next commit covers it then
   */
  commit: (nextOffset: number, last: LogMark | null) => Promise<void>
  /** Called when the queue has room again. */
  onRoom: () => void
  /** A bug in a sink: the process cannot go on. */
  onBug: (error: unknown) => void
  log: Logger
}

/** Runs a piece of work, at once or later, and gives back its result. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>

const tickMs = 1_000

/**
 * One partition for one term of ownership: takes records in offset order, hands them over batch by batch, and
 * acknowledges. The order of steps is the delivery guarantee: the effect is durable (the sink settled), then
 * its dead letters are acknowledged by Kafka, then the offset is committed. A death between any two of them
 * repeats the batch, and sinks are idempotent.
 *
 * States: running → revoked (a rebalance: no commit any more, the effect in hand may end, its result is thrown
 * away) or → draining (a stop: the batch in hand is finished and committed, the queue is dropped).
 */
export class PartitionWorker<V> {
  readonly #o: WorkerOptions<V>
  readonly #stop = new AbortController()
  readonly #sink: PartitionSink<V>
  #queue: RawRecord[] = []
  #queuedBytes = 0
  #lastOffset = -1
  #end = 0
  #revoked = false
  readonly #marks = new LogMarks()
  #pendingCommit: { offset: number; last: LogMark | null } | null = null
  #wake: (() => void) | null = null
  /** When the batch in hand was taken; null while there is none or it waits for an outage to end. */
  #busySince: number | null = null
  #waitingSince: number | null = null
  #ended: Promise<void> = Promise.resolve()

  constructor(options: WorkerOptions<V>) {
    this.#o = options
    this.#sink = options.open(this.#stop.signal)
  }

  /** Starts after `before`: the worker of an earlier term may still have an effect in hand. */
  start(before: Promise<void>): void {
    this.#ended = before.then(() => this.#run()).catch((error) => this.#o.onBug(error))
  }

  /**
   * Takes records as they come from the topic; repetitions are ignored.
   *
   * @param end offset that the next record of the partition will get, as the broker said with these
   */
  enqueue(records: RawRecord[], end: number): void {
    this.#end = end
    for (const record of records) {
      if (record.offset <= this.#lastOffset) continue
      this.#lastOffset = record.offset
      this.#queue.push(record)
      this.#queuedBytes += sizeOf(record)
    }
    this.#wake?.()
  }

  /** Whether records wait behind those that were taken, here or at the broker. */
  get #hasMore(): boolean {
    return this.#queue.length > 0 || this.#lastOffset + 1 < this.#end
  }

  get full(): boolean {
    return this.#queuedBytes >= this.#o.queueMaxBytes
  }

  /** Milliseconds that the batch in hand has been in work; waiting for an outage to end does not count. */
  busyForMs(now: number): number {
    return this.#busySince === null ? 0 : now - this.#busySince
  }

  /** Whether something it needs is away. */
  get waiting(): boolean {
    return this.#waitingSince !== null
  }

  /** The partition is lost: commits nothing any more. Resolves when the effect in hand has ended. */
  revoke(): Promise<void> {
    this.#revoked = true
    return this.drain()
  }

  /** Finishes the batch in hand and takes no other; resolves when it was committed. */
  drain(): Promise<void> {
    this.#stop.abort()
    this.#wake?.()
    this.#o.onRoom()
    return this.#ended
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stop.signal.aborted) {
        if (this.#queue.length > 0) await this.#process()
        else if (await this.#idle()) await this.#tick()
      }
      await this.#commitPending()
    } finally {
      this.#queue = []
      this.#queuedBytes = 0
      await this.#sink.close().catch((err) => this.#o.log.error({ err }, 'sink_close_failed'))
    }
  }

  #take(): RawRecord[] {
    const { batchMaxRecords, batchMaxBytes } = this.#o
    let bytes = 0
    let n = 0
    for (const record of this.#queue) {
      if (n >= batchMaxRecords || (n > 0 && bytes + sizeOf(record) > batchMaxBytes)) break
      bytes += sizeOf(record)
      n++
    }
    const batch = this.#queue.splice(0, n)
    const wasFull = this.full
    this.#queuedBytes -= bytes
    if (wasFull && !this.full) this.#o.onRoom()
    return batch
  }

  /** Waits for records; true when none came within a tick. */
  async #idle(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const idle = await new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(true), tickMs)
      this.#wake = () => resolve(false)
    })
    clearTimeout(timer)
    this.#wake = null
    return idle && !this.#stop.signal.aborted
  }

  async #process(): Promise<void> {
    const { group, topic, inTurn } = this.#o
    let batch: RawRecord[] = []
    await this.#untilSettled('batch', () =>
      inTurn(async () => {
        if (this.#stop.signal.aborted) return nothing
        // As late as can be: what came while it waited for its turn goes with it.
        if (batch.length === 0) batch = this.#take()
        const end = metrics.batchSeconds.startTimer({ group })
        const settled = await attempt(async () =>
          this.#sink.write(await this.#decodeAll(batch), this.#hasMore),
        )
        this.#marks.note(batch, settled.through)
        end()
        return { ...settled, records: batch.length }
      }),
    )
    metrics.recordsConsumed.inc({ group, topic }, batch.length)
    if (this.#o.freesRecords) freeMemory(batch, this.#queue)
  }

  async #tick(): Promise<void> {
    await this.#untilSettled('tick', async () => ({
      ...(await attempt(() => this.#sink.tick(this.#hasMore))),
      records: 0,
    }))
    await this.#commitPending()
  }

  async #decodeAll(batch: RawRecord[]): Promise<DecodedRecord<V>[]> {
    const decoded: DecodedRecord<V>[] = []
    for (const record of batch) decoded.push(await this.#o.decode(record))
    return decoded
  }

  /**
   * Repeats an effect through outages until it succeeds or the term ends; then settles it, through outages too.
   * A flood is judged anew each time, so the effect is repeated then: its cause may be gone.
   */
  async #untilSettled(what: string, effect: () => Promise<Effect>): Promise<void> {
    let done: SettledBatch | null = null
    for (let attempts = 1; !this.#stop.signal.aborted || done; attempts++) {
      this.#busySince = performance.now()
      try {
        done ??= { ...(await effect()), attempts }
        await this.#settle(done)
        return
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        if (error.cause instanceof FloodError) done = null
        await this.#waitOut(what, attempts, error.cause)
        if (this.#stop.signal.aborted) return
      } finally {
        this.#busySince = null
        this.#waitingSince = null
      }
    }
  }

  async #waitOut(what: string, attempt: number, error: unknown): Promise<void> {
    const { group, topic, partition, log } = this.#o
    const asked = error instanceof RetriableError ? error.retryAfterMs : null
    const delayMs = asked ?? backoffMs(attempt)
    this.#busySince = null
    this.#waitingSince = performance.now()
    metrics.consumerRetries.inc({ group })
    log.warn(
      { group, topic, partition, what, attempt, delayMs, reason: messageOf(error) },
      'partition_paused',
    )
    await pause(delayMs, this.#stop.signal)
  }

  async #settle(batch: SettledBatch): Promise<void> {
    if (this.#revoked) return
    await attempt(() => this.#o.publishDeadLetters(batch))
    if (batch.through === null) return
    checkpoint('consumer.settled')
    this.#pendingCommit = { offset: batch.through + 1, last: this.#marks.take(batch.through) }
    await this.#commitPending()
  }

  /** A commit that fails is covered by the next one, or the records come again: sinks are idempotent. */
  async #commitPending(): Promise<void> {
    const { group, topic, partition, commit, log } = this.#o
    if (this.#pendingCommit === null || this.#revoked) return
    const { offset, last } = this.#pendingCommit
    try {
      await commit(offset, last)
      metrics.consumedOffset.set({ group, topic, partition }, offset)
      this.#pendingCommit = null
    } catch (error) {
      log.warn({ group, topic, partition, reason: messageOf(error) }, 'commit_failed')
    }
  }
}

/** @param queued records that may have come with these, in one piece of memory: theirs stays */
function freeMemory(records: readonly RawRecord[], queued: readonly RawRecord[]): void {
  const kept = new Set(queued.flatMap(memoryOf))
  for (const memory of new Set(records.flatMap(memoryOf))) if (!kept.has(memory)) free(memory)
}

/** Where the parts of a record lie; one without any lies nowhere. */
function memoryOf({ bytes, key, headers }: RawRecord): ArrayBufferLike[] {
  return [bytes, key, ...headers.map(({ value }) => value)].flatMap((part) => part?.buffer ?? [])
}

function sizeOf(record: RawRecord): number {
  return (record.bytes?.length ?? 0) + (record.key?.length ?? 0) + 100
}
