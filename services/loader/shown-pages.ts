import { LRUCache } from 'lru-cache'
import type { Freshness } from './freshness.ts'
import type { ShownPage } from './shown-page.ts'

const maxBytes = 32 << 20
/** The next page of a user may be a little longer. */
const roomStep = 16 << 10

/**
 * Of each user the last page that held nothing but plays, as far as memory goes. A page is copied into the bytes of the
 * user's page before it, or of one that was evicted, where it fits: for new ones V8 would collect the whole heap every
 * few hundred pages.
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

  /** What it gives must not be looked at once another page is kept. */
  get(userId: string): ShownPage | undefined {
    const page = this.#pages.get(userId)
    return page && this.#freshness.isFresh(page.fullAt) ? page : undefined
  }

  /** Keeps a copy: a body is a part of its whole batch as it came from Kafka. */
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

  /** Lets go of pages that are read in full again the next time. */
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
