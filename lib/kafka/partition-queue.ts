import type kafkajs from 'kafkajs'
import { RetriableError } from '../errors.ts'

export type PartitionMessage = kafkajs.Message & { partition: number }

/** A record that waits to be published, with its caller's promise. */
export interface PendingRecord {
  message: PartitionMessage
  bytes: number
  /** A moment of `performance.now()`. */
  giveUpAt: number
  resolve: () => void
  reject: (error: unknown) => void
}

const batchMaxBytes = 1 << 20

/**
 * The records that wait for one partition. Only one batch is under way at a time, which keeps the order, and no
 * record is in two batches at once.
 *
 * States: idle → sending → idle, or → down when the batch was abandoned. A partition that is down sends its next
 * batch alone; when that is written, it is idle again.
 */
export class PartitionQueue {
  readonly partition: number
  #waiting: PendingRecord[] = []
  #isSending = false
  #isDown = false

  constructor(partition: number) {
    this.partition = partition
  }

  /** Resolves when every in-sync replica has the record. */
  add(message: PartitionMessage, giveUpAt: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ message, bytes: (message.value?.length ?? 0) + 100, giveUpAt, resolve, reject })
    return promise
  }

  get isReady(): boolean {
    return !this.#isSending && this.#waiting.length > 0
  }

  get isDown(): boolean {
    return this.#isDown
  }

  /** Takes the next batch, which is under way until {@link ended}. */
  take(): PendingRecord[] {
    this.#isSending = true
    let bytes = 0
    const end = this.#waiting.findIndex((record, n) => {
      bytes += record.bytes
      return n > 0 && bytes > batchMaxBytes
    })
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end)
  }

  /** Called when the batch is written, or abandoned: then the partition is down. */
  ended({ isDown }: { isDown: boolean }): void {
    this.#isSending = false
    this.#isDown = isDown
  }

  /** Rejects waiting records whose time is over. */
  withdrawLate(now: number): void {
    const next = this.#waiting.findIndex(({ giveUpAt }) => giveUpAt > now)
    this.#reject(next < 0 ? this.#waiting.length : next, 'Those before them did not get through in time')
  }

  close(): void {
    this.#reject(this.#waiting.length, 'The producer is closing')
  }

  #reject(count: number, reason: string): void {
    for (const { reject } of this.#waiting.splice(0, count)) reject(new RetriableError(reason))
  }
}
