import { isRecordFault } from '../errors.ts'
import type { Logger } from '../log.ts'
import { metrics } from '../metrics.ts'
import type { PartitionMessage, PendingRecord } from './partition-queue.ts'
import { PartitionQueue } from './partition-queue.ts'
import type { ProducerSession } from './producer-session.ts'
import type { Sender } from './sender.ts'

interface Batch {
  queue: PartitionQueue
  records: PendingRecord[]
}

/** A batch that is under way, and may have been stored under a session's name. */
interface SentBatch extends Batch {
  session: ProducerSession
}

/** Of all partitions together; one batch goes in any case. */
const requestMaxBytes = 2 << 20

/**
 * Publishes records of one topic by the request: what waits for partitions of one leader goes together, one batch for
 * each, and what comes while that is under way goes with the next. A request that fails is taken apart, so that a
 * partition that cannot be written, or a record that the broker refuses, harms no neighbour.
 */
export class TopicPublisher {
  readonly #topic: string
  readonly #sender: Sender
  readonly #log: Logger
  readonly #queues = new Map<number, PartitionQueue>()
  /** Leaders that a request is under way to. */
  readonly #busyLeaders = new Set<number | undefined>()

  constructor(topic: string, { sender, log }: { sender: Sender; log: Logger }) {
    this.#topic = topic
    this.#sender = sender
    this.#log = log
  }

  /** Resolves when all are stored. @throws when one was given up; by then all have ended */
  async publish(messages: readonly PartitionMessage[], giveUpAt: number): Promise<void> {
    const publishing = messages.map((message) => this.#queueOf(message.partition).add(message, giveUpAt))
    this.#pump()
    const outcomes = await Promise.allSettled(publishing)
    const failed = outcomes.find((o) => o.status === 'rejected')
    if (failed) throw failed.reason
  }

  withdrawLate(): void {
    const now = performance.now()
    for (const queue of this.#queues.values()) queue.withdrawLate(now)
  }

  close(): void {
    for (const queue of this.#queues.values()) queue.close()
  }

  #queueOf(partition: number): PartitionQueue {
    const queue = this.#queues.get(partition) ?? new PartitionQueue(partition)
    this.#queues.set(partition, queue)
    return queue
  }

  #leaderOf(queue: PartitionQueue): number | undefined {
    return this.#sender.leaderOf(this.#topic, queue.partition)
  }

  /** Starts a request to every leader that records wait for and that none is under way to. */
  #pump(): void {
    this.withdrawLate()
    for (const queue of [...this.#queues.values()]) {
      if (!queue.isReady) continue
      if (queue.isDown) {
        this.#sendApart({ queue, records: queue.take(), session: this.#sender.sessions.enter(1) })
        continue
      }
      const leader = this.#leaderOf(queue)
      if (this.#busyLeaders.has(leader)) continue
      this.#busyLeaders.add(leader)
      void this.#sendTogether(this.#takeBatches(leader), leader).finally(() => {
        this.#busyLeaders.delete(leader)
        this.#pump()
      })
    }
  }

  /** At most one batch of each partition; a partition whose turn it was is last the next time. */
  #takeBatches(leader: number | undefined): Batch[] {
    const batches: Batch[] = []
    let bytes = 0
    for (const queue of [...this.#queues.values()]) {
      if (!queue.isReady || queue.isDown || this.#leaderOf(queue) !== leader) continue
      const records = queue.take()
      batches.push({ queue, records })
      bytes += records.reduce((sum, record) => sum + record.bytes, 0)
      this.#queues.delete(queue.partition)
      this.#queues.set(queue.partition, queue)
      if (leader === undefined || bytes >= requestMaxBytes) break
    }
    return batches
  }

  /** Resolves when the leader is free for the next request; batches of one that failed may still be under way. */
  async #sendTogether(batches: Batch[], leader: number | undefined): Promise<void> {
    const session = this.#sender.sessions.enter(batches.length)
    const all = batches.flatMap(({ records }) => records)
    try {
      await this.#sender.sendTogether({
        ...this.#toRequest(all),
        ...{ session, leader, batches: batches.length },
      })
      for (const { queue, records } of batches) {
        this.#acknowledge(records)
        queue.ended({ isDown: false })
      }
    } catch (error) {
      const of = { topic: this.#topic, partitions: batches.length }
      this.#log.debug({ ...of, err: error }, 'request_taken_apart')
      for (const batch of batches) this.#sendApart({ ...batch, session })
    }
  }

  #sendApart(batch: SentBatch): void {
    void this.#sendAlone(batch).then((isDown) => {
      batch.queue.ended({ isDown })
      this.#pump()
    })
  }

  /** Never throws: each record's caller gets its outcome. @returns whether the partition cannot be written now */
  async #sendAlone({ queue, records, session }: SentBatch): Promise<boolean> {
    try {
      await this.#sender.sendAlone({ ...this.#toRequest(records), session })
      this.#acknowledge(records)
      return false
    } catch (error) {
      // One record that the broker refuses must not cost its neighbours: they travel alone.
      if (records.length > 1 && isRecordFault(error)) {
        let isDown = false
        for (const record of records) {
          const alone = { queue, records: [record], session: this.#sender.sessions.enter(1) }
          isDown = await this.#sendAlone(alone)
        }
        return isDown
      }
      for (const { reject } of records) reject(error)
      return !isRecordFault(error)
    }
  }

  /**
   * A batch is tried until the first of its records is given up. Nothing of it is sent after that: the caller may have
   * published the record again, and freed its memory.
   */
  #toRequest(records: readonly PendingRecord[]) {
    return {
      topic: this.#topic,
      messages: records.map(({ message }) => message),
      giveUpAt: Math.min(...records.map(({ giveUpAt }) => giveUpAt)),
    }
  }

  #acknowledge(records: readonly PendingRecord[]): void {
    metrics.recordsPublished.inc({ topic: this.#topic }, records.length)
    for (const { resolve } of records) resolve()
  }
}
