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

/** A batch that is under way, and may have been stored in a session. */
interface SentBatch extends Batch {
  session: ProducerSession
}

/** A request takes no further batch above this size. */
const requestMaxBytes = 2 << 20

/**
 * Publishes records of one topic. A request holds one batch for each partition of a leader for which records wait;
 * records that arrive during the request go with the next one. The batches of a failed request are sent one by one, so
 * that a partition that cannot be written, or a record that the broker refuses, does not harm the others.
 */
export class TopicPublisher {
  readonly #topic: string
  readonly #sender: Sender
  readonly #log: Logger
  readonly #queues = new Map<number, PartitionQueue>()
  /** Leaders with a request under way. */
  readonly #busyLeaders = new Set<number | undefined>()

  constructor(topic: string, { sender, log }: { sender: Sender; log: Logger }) {
    this.#topic = topic
    this.#sender = sender
    this.#log = log
  }

  /** Resolves when all are stored. @throws when one failed, after all have ended */
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

  /** Starts a request to every leader for which records wait and that has none under way. */
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

  /** Takes at most one batch of each partition. A partition that was served goes to the end of the line. */
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

  /** Resolves when the leader is free for the next request; batches of a failed request may still be under way. */
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

  /** Never throws: each record's caller gets its own result. @returns whether the partition cannot be written now */
  async #sendAlone({ queue, records, session }: SentBatch): Promise<boolean> {
    try {
      await this.#sender.sendAlone({ ...this.#toRequest(records), session })
      this.#acknowledge(records)
      return false
    } catch (error) {
      // The broker refuses one of the records: send each alone, so that the others get through.
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
   * A batch is tried until the time of the first of its records is over. Nothing of it is sent after that: the caller
   * may have published the record again, or freed its memory.
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
