import { LRUCache } from 'lru-cache'
import type { ShownPage } from './shown-page.ts'

const maxBytes = 32 << 20
/** Rows may be taken away, or the database be restored: pages are read in full again then. */
const keptForMs = 15 * 60_000
/** The next page of a user may be a little longer. */
const roomStep = 16 << 10

/**
 * The last page of each user, as far as memory goes. A page is put where the user's one before it lay, or one that
 * had to go: V8 would collect the whole heap for every few hundred of them.
 */
export class ShownPages {
  readonly #pages: LRUCache<string, ShownPage>
  #spare: ArrayBufferLike | null = null

  /** @param limits.maxBytes of all pages together */
  constructor(limits = { maxBytes }) {
    this.#pages = new LRUCache({
      maxSize: limits.maxBytes,
      sizeCalculation: ({ body }) => body.buffer.byteLength,
      ttl: keptForMs,
      ttlResolution: 1_000,
      dispose: ({ body }, _userId, reason) => {
        if (reason === 'evict') this.#spare = body.buffer
      },
    })
  }

  /** What it gives must not be looked at once another page is kept. */
  get(userId: string): ShownPage | undefined {
    return this.#pages.get(userId)
  }

  /** Keeps a copy: a body is a part of its whole batch as it came from Kafka. */
  keep(userId: string, page: ShownPage): void {
    const body = Buffer.from(this.#roomFor(userId, page.body.length), 0, page.body.length)
    page.body.copy(body)
    this.#pages.set(userId, { ...page, body })
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
