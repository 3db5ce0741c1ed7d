import type { PartitionWorker } from './partition-worker.ts'

/** Workers of earlier generations whose effect has not ended yet, also of consumers that crashed. */
export class EndingWork<V> {
  readonly #workers = new Set<PartitionWorker<V>>()
  /** When a partition is free, by its place. */
  readonly #ends = new Map<string, Promise<void>>()

  get workers(): Iterable<PartitionWorker<V>> {
    return this.#workers
  }

  get size(): number {
    return this.#workers.size
  }

  /** The partition is lost: its worker commits nothing any more. */
  revoke(place: string, worker: PartitionWorker<V>): void {
    this.#workers.add(worker)
    const ended = Promise.all([this.#ends.get(place), worker.revoke()]).then(() => {
      this.#workers.delete(worker)
      if (this.#ends.get(place) === ended) this.#ends.delete(place)
    })
    this.#ends.set(place, ended)
  }

  /** Resolves when no earlier worker of the partition is at an effect. */
  async untilFree(place: string): Promise<void> {
    await this.#ends.get(place)
  }

  async untilAllFree(): Promise<void> {
    await Promise.all(this.#ends.values())
  }
}
