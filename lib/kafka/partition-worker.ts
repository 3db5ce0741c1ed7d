import { backoffMs, pause } from '../backoff.ts'
import { checkpoint } from '../checkpoint.ts'
import { UnknownSchemaError } from '../codec.ts'
import { isServersOwnFault, messageOf, RetriableError, serverOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { scrub } from '../log.ts'
import { metrics } from '../metrics.ts'
import type { Outages, Waiter } from '../outages.ts'
import { isAppointed } from '../outages.ts'
import { free } from '../zstd.ts'
import type { Burials } from './burial.ts'
import { FloodError } from './flood-valve.ts'
import type { HeldUp } from './hold-up.ts'
import { answers, HoldUp } from './hold-up.ts'
import type { LogMark } from './log-mark.ts'
import { LogMarks } from './log-marks.ts'
import type { DecodedRecord, RawRecord } from './record.ts'
import type { PartitionSink, Settled } from './sink.ts'

interface Effect extends Settled {
  records: readonly RawRecord[]
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

const nothing: Effect = { through: null, deadLetters: [], records: [] }

/** A batch that was taken and is not settled yet; it may lose its rear part again. */
interface Hand {
  records: RawRecord[]
}

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
  /** Told of what fails and what works. */
  outages: Outages
  /** After so long a failure of a server that answers, the record that causes it is looked for and named. */
  heldUpAfterMs: number
  /** A record is named, or the partition is past it. */
  onHeldUp: (held: HeldUp) => void
  /** Records that operators have given up; absent: the group buries nothing. */
  burials?: Burials
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
  readonly #waiter: Waiter
  readonly #holdUp = new HoldUp()
  /** Offsets of the batch in hand that an operator has given up. */
  #buried: ReadonlySet<number> = new Set()
  #lastWords = ''
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
    this.#waiter = { name: options.group, place: `${options.topic}/${options.partition}` }
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
    const { batchMaxBytes } = this.#o
    const batchMaxRecords = this.#holdUp.sizeAt(this.#queue[0]?.offset ?? 0, this.#o.batchMaxRecords)
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
    const hand: Hand = { records: [] }
    // A term that ends before the turn comes writes nothing.
    let isWritten = false
    const write = (attempts: number) =>
      inTurn(async () => {
        isWritten = false
        if (this.#stop.signal.aborted) return nothing
        this.#busySince = performance.now()
        // As late as can be: what came while it waited for its turn goes with it.
        if (hand.records.length === 0) hand.records = this.#take()
        if (attempts > 1) await this.#readBurials(hand)
        const end = metrics.batchSeconds.startTimer({ group })
        const settled = await attempt(async () =>
          this.#sink.write(await this.#decodeAll(hand.records), this.#hasMore),
        )
        isWritten = true
        this.#marks.note(hand.records, settled.through)
        end()
        return { ...settled, records: hand.records }
      })
    const isSettled = await this.#untilSettled('batch', write, (cause) => this.#examine(hand, cause))
    if (isSettled && isWritten) {
      this.#pass(hand)
      metrics.recordsConsumed.inc({ group, topic }, hand.records.length)
    }
    if (this.#o.freesRecords) freeMemory(hand.records, this.#queue)
  }

  async #tick(): Promise<void> {
    await this.#untilSettled('tick', async () => {
      this.#busySince = performance.now()
      return { ...(await attempt(() => this.#sink.tick(this.#hasMore))), records: [] }
    })
    await this.#commitPending()
  }

  /**
   * Ids that the registry does not know are all looked up before the first of them is complained of, so that a batch
   * of them waits once.
   */
  async #decodeAll(batch: readonly RawRecord[]): Promise<DecodedRecord<V>[]> {
    const decoded: DecodedRecord<V>[] = []
    let unknown: UnknownSchemaError | null = null
    for (const record of batch) {
      try {
        decoded.push(this.#buried.has(record.offset) ? this.#toBuried(record) : await this.#o.decode(record))
      } catch (error) {
        if (!(error instanceof UnknownSchemaError)) throw error
        unknown = error
      }
    }
    if (unknown) throw unknown
    return decoded
  }

  #toBuried(record: RawRecord): DecodedRecord<V> {
    const message = `Given up by an operator; it failed with: ${this.#lastWords}`
    return { ...record, decoded: { type: 'buried', reason: 'buried', message } }
  }

  /** What cannot be read now is read at the next attempt. */
  async #readBurials({ records }: Hand): Promise<void> {
    const { group, burials, log } = this.#o
    if (!burials) return
    try {
      this.#buried = await burials({ group, records })
    } catch (error) {
      log.debug({ group, reason: messageOf(error) }, 'burials_not_read')
    }
  }

  /**
   * Repeats an effect through outages until it succeeds or the term ends; then settles it, through outages too.
   * After a flood the effect is repeated where the sink allows it: its cause may be gone.
   *
   * @param effect sets the time since which it is busy: waiting for its turn is no work
   * @param examine called after each failure of the effect; true: it is tried again at once
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
        const isDone = !this.#stop.signal.aborted && this.#pendingCommit === null
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
        this.#waitingSince = null
      }
    }
    return false
  }

  /** @returns whether a part of the batch is to be tried at once, to find the record that holds it up */
  async #examine(hand: Hand, cause: unknown): Promise<boolean> {
    const { heldUpAfterMs, onHeldUp } = this.#o
    const [record] = hand.records
    if (!record || isAppointed(cause)) return false
    this.#lastWords = scrub(messageOf(cause))
    if (this.#holdUp.failed(hand.records, performance.now()) < heldUpAfterMs) return false
    if (isServersOwnFault(cause) || !(await answers(serverOf(cause)))) return false
    if (hand.records.length > 1) {
      const rear = hand.records.splice(this.#holdUp.halve(hand.records.length))
      this.#queue.unshift(...rear)
      this.#queuedBytes += rear.reduce((sum, r) => sum + sizeOf(r), 0)
      return true
    }
    if (this.#holdUp.name(record)) onHeldUp({ record, state: 'raised', words: this.#lastWords })
    return false
  }

  #pass({ records }: Hand): void {
    const record = this.#holdUp.passed(records)
    if (record) this.#o.onHeldUp({ record, state: 'resolved', words: '' })
    this.#buried = new Set()
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
    await attempt(() => this.#o.publishDeadLetters(batch).catch(asOutage))
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
      if (!this.#revoked)
        this.#o.outages.failed(this.#waiter, new RetriableError(messageOf(error), { cause: error }))
    }
  }
}

/** The records have been handled when they are settled: what Kafka refuses then is not their fault, and waits. */
function asOutage(cause: unknown): never {
  throw cause instanceof RetriableError ? cause : new RetriableError(messageOf(cause), { cause })
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
