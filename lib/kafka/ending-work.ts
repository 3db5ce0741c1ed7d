import type { PartitionWorker } from './partition-worker.ts'

/** Workers of earlier generations whose effect has not ended yet, also of consumers that crashed. */
export class EndingWork<V> {
  readonly #workers = new Set<PartitionWorker<V>>()
  /** By place, a promise that resolves when the partition is free. */
  readonly #ends = new Map<string, Promise<void>>()

  get workers(): Iterable<PartitionWorker<V>> {
    return this.#workers
  }

  get size(): number {
    return this.#workers.size
  }

  /** Called when a partition is lost: its worker commits nothing after this. */
  revoke(place: string, worker: PartitionWorker<V>): void {
    this.#workers.add(worker)
    const ended = Promise.all([this.#ends.get(place), worker.revoke()]).then(() => {
      this.#workers.delete(worker)
      if (this.#ends.get(place) === ended) this.#ends.delete(place)
    })
    this.#ends.set(place, ended)
  }

  /** Resolves when no earlier worker of the partition has an effect under way. */
  async untilFree(place: string): Promise<void> {
    await this.#ends.get(place)
  }

  async untilAllFree(): Promise<void> {
    await Promise.all(this.#ends.values())
  }
}
