import { backoffMs } from '../backoff.ts'

interface Hold {
  attempt: number
  timer: NodeJS.Timeout | null
}

/** Partitions whose next batch cannot be read: each is tried again with backoff, and the others go on. */
export class Holds {
  readonly #holds = new Map<string, Hold>()

  get size(): number {
    return this.#holds.size
  }

  /** Whether the partition's next try is still to come. */
  isPaused(name: string): boolean {
    return this.#holds.get(name)?.timer != null
  }

  /** @param retry called when the partition is to be read again */
  hold(name: string, retry: () => void): { attempt: number; delayMs: number } {
    const attempt = (this.#holds.get(name)?.attempt ?? 0) + 1
    this.release(name)
    const delayMs = backoffMs(attempt)
    const hold: Hold = { attempt, timer: null }
    hold.timer = setTimeout(() => {
      hold.timer = null
      retry()
    }, delayMs)
    this.#holds.set(name, hold)
    return { attempt, delayMs }
  }

  /** The partition was read, or is no longer ours. */
  release(name: string): void {
    clearTimeout(this.#holds.get(name)?.timer ?? undefined)
    this.#holds.delete(name)
  }

  releaseAll(): void {
    for (const name of [...this.#holds.keys()]) this.release(name)
  }
}
