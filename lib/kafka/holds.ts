import { backoffMs } from '../backoff.ts'

interface Hold {
  attempt: number
  timer: NodeJS.Timeout | null
}

/** Partitions whose next batch cannot be read. Each is tried again with backoff, while the others go on. */
export class Holds {
  readonly #holds = new Map<string, Hold>()

  get size(): number {
    return this.#holds.size
  }

  /** Whether the partition waits for its next try. */
  isPaused(name: string): boolean {
    return this.#holds.get(name)?.timer != null
  }

  /** @param retry called when the next try is due */
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

  /** Called when the partition was read, or belongs to another member. */
  release(name: string): void {
    clearTimeout(this.#holds.get(name)?.timer ?? undefined)
    this.#holds.delete(name)
  }

  releaseAll(): void {
    for (const name of [...this.#holds.keys()]) this.release(name)
  }
}
