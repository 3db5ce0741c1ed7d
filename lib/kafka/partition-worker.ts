import { backoffMs, pause } from '../backoff.ts'
import { isServersOwnFault, messageOf, RetriableError, serverOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { scrub } from '../log.ts'
import { metrics } from '../metrics.ts'
import type { Outages, Waiter } from '../outages.ts'
import { isAppointed } from '../outages.ts'
import type { BatchDecoderOptions } from './batch-decoder.ts'
import { BatchDecoder } from './batch-decoder.ts'
import { FloodError } from './flood-valve.ts'
import { answers, HoldUp } from './hold-up.ts'
import type { CommitOffset } from './position.ts'
import { Position } from './position.ts'
import type { RawRecord } from './record.ts'
import { RecordQueue } from './record-queue.ts'
import type { PartitionSink, Settled } from './sink.ts'

interface Effect extends Settled {
  records: readonly RawRecord[]
}

/** A batch whose effect is durable. */
export interface SettledBatch extends Effect {
  attempts: number
}

/** Wraps the error of an effect: an outage. Any other error in this module is a bug of the module. */
class Failure extends Error {}

async function attempt<T>(effect: () => Promise<T>): Promise<T> {
  try {
    return await effect()
  } catch (cause) {
    throw new Failure(messageOf(cause), { cause })
  }
}

const nothing: Effect = { through: null, deadLetters: [], records: [] }

/** A batch that was taken and is not settled yet; its rear part may go back to the queue. */
interface TakenBatch {
  records: RawRecord[]
}

export interface WorkerOptions<V> extends BatchDecoderOptions<V> {
  topic: string
  partition: number
  /** The signal is aborted when the generation ends: the sink may then cut its work short. */
  open: (signal: AbortSignal) => PartitionSink<V>
  batchMaxRecords: number
  batchMaxBytes: number
  /** Whether to free the memory of settled batches: the sink keeps nothing of them. */
  freesRecords: boolean
  /** {@link PartitionWorker.full} is true from this many bytes in the queue. */
  queueMaxBytes: number
  /** Runs work when its turn comes; bounds the work under way over all partitions. */
  inTurn: InTurn
  /** @throws FloodError when there are too many dead letters: the batch is handled again later */
  publishDeadLetters: (batch: SettledBatch) => Promise<void>
  commit: CommitOffset
  /** Receives what fails and what works. */
  outages: Outages
  /** After a batch has failed for this long although its server answers, the worker searches the record to blame. */
  heldUpAfterMs: number
  /** Called at each failed attempt of a record that fails by itself. */
  onHeldUp: (record: RawRecord, words: string) => void
  /** Called when the queue has room again. */
  onRoom: () => void
  /** Called on a bug: the process cannot go on. */
  onBug: (error: unknown) => void
  log: Logger
}

/** Runs work, at once or later, and returns its result. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>

const tickMs = 1_000

/**
 * Handles one partition in one generation of the group: passes records to the sink in offset order, batch by batch, and
 * acknowledges them. The order of steps is the delivery guarantee: the effect is durable (the sink settled), then
 * Kafka has acknowledged its dead letters, then the offset is committed. A death between any two of them repeats the
 * batch, and sinks are idempotent.
 *
 * States: running → revoked (a rebalance: nothing is committed; the present effect may end, its result is dropped) or
 * → draining (a stop: the present batch is finished and committed unless it fails; the queue is dropped).
 */
export class PartitionWorker<V> {
  readonly #o: WorkerOptions<V>
  readonly #stop = new AbortController()
  readonly #sink: PartitionSink<V>
  readonly #waiter: Waiter
  readonly #queue: RecordQueue
  readonly #decoder: BatchDecoder<V>
  readonly #position: Position
  readonly #holdUp = new HoldUp()
  #lastWords = ''
  #revoked = false
  #wake: (() => void) | null = null
  /** When work on the present batch began, or null if there is no batch or it waits for an outage to end. */
  #busySince: number | null = null
  #isWaiting = false
  #ended: Promise<void> = Promise.resolve()

  constructor(options: WorkerOptions<V>) {
    this.#o = options
    this.#waiter = { name: options.group, place: `${options.topic}/${options.partition}` }
    this.#sink = options.open(this.#stop.signal)
    this.#queue = new RecordQueue(options.queueMaxBytes)
    this.#decoder = new BatchDecoder(options)
    this.#position = new Position(options.commit)
  }

  /** Starts after `before`: the worker of an earlier generation may still have an effect under way. */
  start(before: Promise<void>): void {
    this.#ended = before.then(() => this.#run()).catch((error) => this.#o.onBug(error))
  }

  /** See {@link RecordQueue.add}. */
  enqueue(records: readonly RawRecord[], end: number): void {
    this.#queue.add(records, end)
    this.#wake?.()
  }

  get full(): boolean {
    return this.#queue.isFull
  }

  /** Milliseconds that the present batch has been in work; waiting for an outage to end does not count. */
  busyForMs(now: number): number {
    return this.#busySince === null ? 0 : now - this.#busySince
  }

  /** Whether it waits for an outage to end. */
  get waiting(): boolean {
    return this.#isWaiting
  }

  /** Called when the partition is lost: commits nothing after this. Resolves when the present effect has ended. */
  revoke(): Promise<void> {
    this.#revoked = true
    return this.drain()
  }

  /** Takes no further batch. Resolves when the present one is committed, or abandoned because it fails. */
  drain(): Promise<void> {
    this.#stop.abort()
    this.#wake?.()
    this.#o.onRoom()
    return this.#ended
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stop.signal.aborted) {
        if (!this.#queue.isEmpty) await this.#process()
        else if (await this.#idle()) await this.#tick()
      }
      await this.#commit()
    } finally {
      this.#queue.clear()
      await this.#sink.close().catch((err) => this.#o.log.error({ err }, 'sink_close_failed'))
    }
  }

  #take(): RawRecord[] {
    const { batchMaxRecords, batchMaxBytes, onRoom } = this.#o
    const wasFull = this.full
    const records = this.#holdUp.sizeAt(this.#queue.nextOffset ?? 0, batchMaxRecords)
    const batch = this.#queue.take({ records, bytes: batchMaxBytes })
    if (wasFull && !this.full) onRoom()
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
    const { group, topic } = this.#o
    const batch: TakenBatch = { records: [] }
    // If the generation ends before the turn comes, nothing is written.
    let isWritten = false
    const write = (attempts: number) =>
      this.#o.inTurn(async () => {
        isWritten = false
        if (this.#stop.signal.aborted) return nothing
        const effect = await this.#write(batch, attempts)
        isWritten = true
        return effect
      })
    const isSettled = await this.#untilSettled('batch', write, (cause) => this.#examine(batch, cause))
    if (isSettled && isWritten) {
      this.#holdUp.passed(batch.records)
      this.#decoder.passed()
      this.#o.outages.passed(this.#waiter, batch.records.at(-1)?.offset ?? -1)
      metrics.recordsConsumed.inc({ group, topic }, batch.records.length)
    }
    if (this.#o.freesRecords) this.#queue.freeMemory(batch.records)
  }

  async #write(batch: TakenBatch, attempts: number): Promise<Effect> {
    this.#busySince = performance.now()
    // Take the batch as late as possible: it then holds what came while it waited for its turn.
    if (batch.records.length === 0) batch.records = this.#take()
    if (attempts > 1) await this.#decoder.readBurials(batch.records)
    const end = metrics.batchSeconds.startTimer({ group: this.#o.group })
    const settled = await attempt(async () => {
      const decoded = await this.#decoder.decode(batch.records, this.#lastWords)
      return this.#sink.write(decoded, this.#queue.hasMore)
    })
    this.#position.note(batch.records, settled.through)
    end()
    return { ...settled, records: batch.records }
  }

  async #tick(): Promise<void> {
    await this.#untilSettled('tick', async () => {
      this.#busySince = performance.now()
      return { ...(await attempt(() => this.#sink.tick(this.#queue.hasMore))), records: [] }
    })
    await this.#commit()
  }

  /**
   * Repeats an effect through outages until it succeeds or the generation ends; then settles it, through outages too.
   * After a flood it repeats the effect, if the sink allows that: the cause may be gone.
   *
   * @param effect sets `#busySince` itself, because waiting for its turn does not count as work
   * @param examine called after each failure of the effect; if it returns true, the effect is repeated at once
   * @returns whether it was settled
   */
  async #untilSettled(
    what: string,
    effect: (attempts: number) => Promise<Effect>,
    examine: (cause: unknown) => Promise<boolean> = async () => false,
  ): Promise<boolean> {
    let done: SettledBatch | null = null
    for (let attempts = 1; !this.#stop.signal.aborted || done; attempts++) {
      try {
        done ??= { ...(await effect(attempts)), attempts }
        this.#busySince ??= performance.now()
        await this.#settle(done)
        const isDone = !this.#stop.signal.aborted && !this.#position.isPending
        if (isDone) this.#o.outages.worked(this.#waiter, done.records.length > 0)
        return true
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        const { cause } = error
        if (cause instanceof FloodError && this.#sink.isRepeatable) done = null
        if (this.#stop.signal.aborted) return false
        this.#o.outages.failed(this.#waiter, cause)
        if (!done && (await examine(cause))) continue
        await this.#waitOut(what, attempts, cause)
        if (this.#stop.signal.aborted) return false
      } finally {
        this.#busySince = null
        this.#isWaiting = false
      }
    }
    return false
  }

  /** @returns whether to try a part of the batch at once, to find the record that holds it up */
  async #examine(batch: TakenBatch, cause: unknown): Promise<boolean> {
    const [record] = batch.records
    if (!record || isAppointed(cause)) return false
    this.#lastWords = scrub(messageOf(cause))
    if (this.#holdUp.failed(batch.records, performance.now()) < this.#o.heldUpAfterMs) return false
    if (isServersOwnFault(cause) || !(await answers(serverOf(cause)))) return false
    if (batch.records.length > 1) {
      this.#queue.putBack(batch.records.splice(this.#holdUp.halve(batch.records.length)))
      return true
    }
    this.#o.onHeldUp(record, this.#lastWords)
    return false
  }

  async #waitOut(what: string, attempt: number, error: unknown): Promise<void> {
    const { group, topic, partition, log } = this.#o
    const asked = error instanceof RetriableError ? error.retryAfterMs : null
    const delayMs = asked ?? backoffMs(attempt)
    this.#busySince = null
    this.#isWaiting = true
    metrics.consumerRetries.inc({ group })
    log.warn(
      { group, topic, partition, what, attempt, delayMs, reason: messageOf(error) },
      'partition_paused',
    )
    await pause(delayMs, this.#stop.signal)
  }

  async #settle(batch: SettledBatch): Promise<void> {
    if (this.#revoked) return
    await attempt(() => this.#o.publishDeadLetters(batch).catch(asOutage))
    if (batch.through === null) return
    this.#position.settle(batch.through)
    await this.#commit()
  }

  async #commit(): Promise<void> {
    const { group, topic, partition, log } = this.#o
    if (this.#revoked) return
    try {
      const offset = await this.#position.commit()
      if (offset !== null) metrics.consumedOffset.set({ group, topic, partition }, offset)
    } catch (error) {
      log.warn({ group, topic, partition, reason: messageOf(error) }, 'commit_failed')
      if (!this.#revoked)
        this.#o.outages.failed(this.#waiter, new RetriableError(messageOf(error), { cause: error }))
    }
  }
}

/** Once records are handled, an error in publishing their dead letters is not their fault: it counts as an outage. */
function asOutage(cause: unknown): never {
  throw cause instanceof RetriableError ? cause : new RetriableError(messageOf(cause), { cause })
}
