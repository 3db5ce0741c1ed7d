import { LRUCache } from 'lru-cache'
import type { Freshness } from './freshness.ts'
import type { ShownPage } from './shown-page.ts'

const maxBytes = 32 << 20
/** Buffers grow in these steps, because the next page of a user may be a little longer. */
const roomStep = 16 << 10

/**
 * Keeps for each user, within a limit, the last page that holds only plays. A page is copied into the buffer of the
 * user's previous page, or of one that was evicted, if it fits: new buffers would make V8 collect the whole heap
 * every few hundred pages.
 */
export class ShownPages {
  readonly #freshness: Freshness
  readonly #pages: LRUCache<string, ShownPage>
  #spare: ArrayBufferLike | null = null

  /** @param limits.maxBytes of all pages together */
  constructor(freshness: Freshness, limits = { maxBytes }) {
    this.#freshness = freshness
    this.#pages = new LRUCache({
      maxSize: limits.maxBytes,
      sizeCalculation: ({ body }) => body.buffer.byteLength,
      dispose: ({ body }, _userId, reason) => {
        if (reason === 'evict') this.#spare = body.buffer
      },
    })
  }

  /** The result must not be used after another page is kept, which may overwrite its buffer. */
  get(userId: string): ShownPage | undefined {
    const page = this.#pages.get(userId)
    return page && this.#freshness.isFresh(page.fullAt) ? page : undefined
  }

  /** Keeps a copy: the body itself is a slice of a whole fetch. */
  keep(userId: string, page: ShownPage): void {
    const body = Buffer.from(this.#roomFor(userId, page.body.length), 0, page.body.length)
    page.body.copy(body)
    this.#pages.set(userId, { ...page, body })
  }

  forget(userId: string): void {
    this.#pages.delete(userId)
  }

  forgetAll(): void {
    this.#pages.clear()
    this.#spare = null
  }

  /** Drops pages that are too old to use. */
  purge(): void {
    for (const [userId, { fullAt }] of this.#pages.entries()) {
      if (!this.#freshness.isFresh(fullAt)) this.#pages.delete(userId)
    }
    this.#spare = null
  }

  #roomFor(userId: string, length: number): ArrayBufferLike {
    const before = this.#pages.peek(userId)?.body.buffer
    if (before && before.byteLength >= length) return before
    const spare = this.#spare
    if (!spare || spare.byteLength < length) return new ArrayBuffer(Math.ceil(length / roomStep) * roomStep)
    this.#spare = null
    return spare
  }
}
