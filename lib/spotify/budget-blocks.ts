import type { Taken } from './budget-store.ts'
import type { RequestLane } from './outcome.ts'

/** With a larger daily budget than this, requests are taken from the shared rows in blocks. */
export const blocksFromDailyRequests = 10_000
/** After this time the rest of a block goes back: other processes may need it, and a pause may have begun. */
export const blockLivesMs = 10_000

/** Where blocks come from and go back to. */
export interface BlockStore {
  take(lane: RequestLane, count: number): Promise<Taken>
  refund(lane: RequestLane, count: number, window: string): Promise<void>
}

interface Block {
  left: number
  window: string
  /** A moment of the monotonic clock. */
  until: number
}

const nothing: Taken = { granted: 0, window: null, windowEndsInMs: 0, isPaused: false }

/**
 * Reserves requests ahead, so that a busy process locks the shared rows once in ten seconds and not for each request. A
 * block never outlives the window that it counts in. When a process is killed, its block stays counted: the budget is
 * then too small by the block, but never exceeded.
 */
export class BudgetBlocks {
  readonly #store: BlockStore
  readonly #size: number
  readonly #now: () => number
  readonly #blocks = new Map<RequestLane, Block>()

  /** @param options.now a monotonic clock in milliseconds */
  constructor(store: BlockStore, options: { dailyRequests: number; now?: () => number }) {
    this.#store = store
    this.#size = Math.ceil((options.dailyRequests * blockLivesMs) / 86_400_000)
    this.#now = options.now ?? (() => performance.now())
  }

  /** Grants up to `count` requests, all from one window. */
  async take(lane: RequestLane, count: number): Promise<Taken> {
    const held = this.#blocks.get(lane)
    if (held && this.#isEnough(held, count)) return this.#grant(held, count)
    if (held) await this.#giveBack(lane, held)
    // Another call may have taken a new block meanwhile.
    const block = this.#blocks.get(lane)
    return block && this.#isEnough(block, count) ? this.#grant(block, count) : this.#fill(lane, count)
  }

  /** Gives back the rest of every block. */
  async close(): Promise<void> {
    for (const [lane, block] of [...this.#blocks]) await this.#giveBack(lane, block)
  }

  #isEnough({ left, until }: Block, count: number): boolean {
    return left >= count && until > this.#now()
  }

  #grant(block: Block, count: number): Taken {
    const granted = Math.min(count, block.left)
    block.left -= granted
    return { granted, window: block.window, windowEndsInMs: block.until - this.#now(), isPaused: false }
  }

  /**
   * Takes a block and grants from it before it awaits anything else. Concurrent calls each take a block; only the last
   * one is kept, the others go back.
   */
  async #fill(lane: RequestLane, count: number): Promise<Taken> {
    const taken = await this.#store.take(lane, Math.max(count, this.#size))
    if (taken.window === null) return nothing
    const livesMs = Math.min(blockLivesMs, taken.windowEndsInMs)
    const block = { left: taken.granted, window: taken.window, until: this.#now() + livesMs }
    const granted = this.#grant(block, count)
    const other = this.#blocks.get(lane)
    this.#blocks.set(lane, block)
    // If giving it back fails, it stays counted until its window ends.
    setTimeout(() => void this.#giveBack(lane, block).catch(() => undefined), livesMs).unref()
    if (other) await this.#giveBack(lane, other)
    return granted
  }

  async #giveBack(lane: RequestLane, block: Block): Promise<void> {
    if (this.#blocks.get(lane) === block) this.#blocks.delete(lane)
    const { left } = block
    block.left = 0
    if (left > 0) await this.#store.refund(lane, left, block.window)
  }
}
