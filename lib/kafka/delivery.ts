import type kafkajs from 'kafkajs'
import { calling, RetriableError } from '../errors.ts'
import { metrics } from '../metrics.ts'
import type { Waiter } from '../outages.ts'
import { late, within } from '../time-limit.ts'
import type { ConsumerOptions } from './consumer-options.ts'
import { Holds } from './holds.ts'
import { faultOf } from './kafkajs-patches.ts'
import { toRawRecord } from './kafkajs-record.ts'
import type { LogGuard } from './log-guard.ts'
import type { LogMark } from './log-mark.ts'
import { toCommitText } from './log-mark.ts'
import type { Membership } from './membership.ts'

/** How long a full queue may hold up the fetch of other partitions before its own is paused. */
const roomWithinMs = 200
const commitWithinMs = 10_000

export interface DeliveryParts<V> {
  consumer: kafkajs.Consumer
  guard: LogGuard
  membership: Pick<Membership<V>, 'of' | 'workers'>
  crash: (reason: string) => void
}

interface CommittedPosition {
  topic: string
  partition: number
  nextOffset: number
  /** The record before `nextOffset`, or null if it is not known. */
  last: LogMark | null
}

/**
 * Moves fetched records into the queues of their partitions, and commits offsets.
 *
 * States of a partition: flowing → paused while its queue is full → flowing; or → held while its next batch cannot be
 * read, which is tried again with backoff.
 */
export class Delivery<V> {
  readonly #o: Pick<ConsumerOptions<V>, 'group' | 'outages' | 'server' | 'log'>
  readonly #parts: DeliveryParts<V>
  readonly #holds = new Holds()
  readonly #roomWaiters = new Map<string, () => void>()
  #commitOnce: kafkajs.EachBatchPayload['commitOffsetsIfNecessary'] | null = null
  #isEnded = false

  constructor(
    options: Pick<ConsumerOptions<V>, 'group' | 'outages' | 'server' | 'log'>,
    parts: DeliveryParts<V>,
  ) {
    this.#o = options
    this.#parts = parts
  }

  /** Whether any partition waits because it cannot be read. */
  get holdsAny(): boolean {
    return this.#holds.size > 0
  }

  /** Called when the partitions may be another member's. */
  fence(): void {
    this.#holds.releaseAll()
  }

  /** Called at the end: nothing waits for room after this. */
  end(): void {
    this.#isEnded = true
    this.#holds.releaseAll()
  }

  /** Takes a batch that kafkajs has fetched. */
  async take(payload: kafkajs.EachBatchPayload): Promise<void> {
    const { membership, guard, crash } = this.#parts
    const { batch, resolveOffset } = payload
    const { topic, partition } = batch
    const place = `${topic}/${partition}`
    this.#commitOnce = payload.commitOffsetsIfNecessary
    const assigned = membership.of(place)
    const log = assigned?.log
    if (!assigned || !log || payload.isStale()) return
    const fault = faultOf(batch)
    if (fault) return this.#hold({ topic, partition, ...fault })
    if (!(await guard.follows(log, batch.messages))) return crash(`${place} has lost its tail`)
    // The check may take long, and another fetch may have joined the group again meanwhile. An offset that is resolved
    // now would count in the new generation, and skip records that are not handled.
    if (membership.of(place) !== assigned || payload.isStale()) return
    this.#holds.release(place)
    this.#o.outages.worked(this.#reader(place))
    const from = log.topicId === null ? {} : { topicId: log.topicId }
    const records = batch.messages.map((m) => ({ ...toRawRecord(topic, partition, m), ...from }))
    assigned.worker.enqueue(records, Number(batch.highWatermark))
    resolveOffset(batch.lastOffset())
    this.#o.outages.worked({ name: this.#o.group, place: null })
    await this.#waitForRoom(payload, () => assigned.worker.full && membership.of(place) === assigned)
  }

  /** Called when the queue of a partition has room again, or when a held partition is due for its next try. */
  resume(topic: string, partition: number): void {
    const place = `${topic}/${partition}`
    this.#roomWaiters.get(place)?.()
    if (this.#holds.isPaused(place)) return
    try {
      this.#parts.consumer.resume([{ topic, partitions: [partition] }])
    } catch {
      // The consumer has just been stopped.
    }
  }

  /**
   * Sends one request without a retry. kafkajs's own `commitOffsets` would repeat it after a rebalance, under the new
   * generation. Here the request takes the generation at the moment of the call, so the broker refuses a stale one.
   *
   * A request can hang forever when a coordinator moves; sent late, it would move the offset back. So this consumer
   * ends after the time limit, and the broker refuses what it still sends.
   */
  commit(position: CommittedPosition): Promise<void> {
    return calling(this.#o.server, () => this.#commit(position))
  }

  async #commit({ topic, partition, nextOffset, last }: CommittedPosition): Promise<void> {
    const { membership, guard, crash } = this.#parts
    const identity = { topicId: membership.of(`${topic}/${partition}`)?.log?.topicId ?? null, last }
    const position = { partition, offset: String(nextOffset), metadata: toCommitText(identity) }
    const committing = Promise.resolve(this.#commitOnce?.({ topics: [{ topic, partitions: [position] }] }))
    if ((await within(commitWithinMs, committing)) !== late) {
      guard.committed(topic, partition, nextOffset, identity)
      return
    }
    crash('a commit hangs')
    throw new RetriableError(`No answer to a commit within ${commitWithinMs / 1000} s`)
  }

  async #waitForRoom(
    { batch, heartbeat }: kafkajs.EachBatchPayload,
    isInTheWay: () => boolean,
  ): Promise<void> {
    const { topic, partition } = batch
    const place = `${topic}/${partition}`
    const isFull = () => !this.#isEnded && isInTheWay()
    try {
      while (isFull()) {
        const room = new Promise<void>((resolve) => this.#roomWaiters.set(place, resolve))
        await within(roomWithinMs, room)
        this.#roomWaiters.delete(place)
        if (this.#isAnyHungry()) break
        await heartbeat()
      }
    } finally {
      // Also when a heartbeat fails: kafkajs fetches once more before it joins again or crashes.
      if (isFull()) this.#parts.consumer.pause([{ topic, partitions: [partition] }])
    }
  }

  /**
   * Whether a full queue holds up another partition that has room. If none has, nothing is paused: with all partitions
   * paused, kafkajs sleeps for as long as a fetch may wait, even if a queue has room again.
   */
  #isAnyHungry(): boolean {
    return this.#parts.membership.workers.some((worker) => !worker.full)
  }

  /** A partition never skips a batch that it cannot read: a later release may read it, or a repaired disk. */
  #hold(at: { topic: string; partition: number; offset: number; reason: string }): void {
    const { topic, partition, offset, reason } = at
    const { group, outages, log } = this.#o
    const place = `${topic}/${partition}`
    this.#parts.consumer.pause([{ topic, partitions: [partition] }])
    const next = this.#holds.hold(place, () => this.resume(topic, partition))
    metrics.consumerRetries.inc({ group })
    outages.failed(this.#reader(place), new RetriableError(`${place}/${offset}: ${reason}`))
    log.error({ group, ...at, ...next }, 'partition_unreadable')
  }

  #reader(place: string): Waiter {
    return { name: this.#o.group, place, type: 'partition_unreadable' }
  }
}
