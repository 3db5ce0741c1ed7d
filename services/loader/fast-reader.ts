import type { ValueRecord } from '../../lib/kafka/record.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { latin1TextOf } from './fields.ts'
import { toItem } from './item.ts'
import type { KnownTracks } from './known-tracks.ts'
import type { NoPage, PageHead } from './page.ts'
import { toItems, toPageHead } from './page.ts'
import type { PageReader, ReadPage } from './page-reader.ts'
import { plainReader } from './page-reader.ts'
import type { Cut, ShownPage } from './shown-page.ts'
import { cutEnd, cutRepeated, toShownPage } from './shown-page.ts'

export interface FastReaderOptions {
  /** Tracks that earlier pages have shown, in any batch. */
  tracks: KnownTracks
  /** The last page of a user whose plays are stored. */
  stored?: (userId: string) => ShownPage | undefined
}

const dayMs = 86_400_000

/**
 * Reads the pages of one batch with the same results as {@link plainReader}, but
 *
 * - decodes bytes as Latin-1. One character beyond Latin-1 would make the whole page a string of two bytes a
 *   character, which costs a third of the parse. JSON's own characters are ASCII, so the few texts that are stored
 *   are decoded one by one. It excludes pages with `\u` escapes, which could not be distinguished from bytes.
 * - takes out tracks that it knows by their bytes ({@link KnownTracks}).
 * - skips what the user's previous page has shown, byte for byte ({@link cutRepeated}).
 *
 * The plain reader reads every unusual page.
 */
export class FastReader implements PageReader {
  readonly #o: FastReaderOptions
  readonly #plain = plainReader()
  /** By user, the last page of this batch that a next one may be compared with. */
  readonly shown = new Map<string, ShownPage>()

  constructor(options: FastReaderOptions) {
    this.#o = options
  }

  read(record: ValueRecord<SpotifyResponse>): ReadPage | NoPage {
    const head = toPageHead(record)
    if (head.type !== 'head') return head
    const { userId } = head.page
    const before = this.shown.get(userId) ?? this.#o.stored?.(userId)
    const rest = before && this.#readBeyond(head, before)
    const page = rest ?? this.#readFast(head, null) ?? this.#plain.read(record)
    if (page.type === 'page') this.#keep(head, page, rest && before ? before.fullAt : performance.now())
    return page
  }

  /**
   * Reads what a page shows beyond the previous one, or returns null if it must be read in full. The repeated items
   * were read for the same date, so their numbers of the day are known too.
   */
  #readBeyond(head: PageHead, before: ShownPage): ReadPage | null {
    const { fetchedAt } = head.page
    const days = [fetchedAt, before.fetchedAt].map((ms) => Math.floor(ms / dayMs))
    if (fetchedAt < before.fetchedAt || days[0] !== days[1]) return null
    const cut = cutRepeated(head.body, before)
    const rest = cut && this.#readFast(head, cut)
    if (!cut || !rest) return null
    const items = [...rest.items, ...before.items.slice(0, cut.repeated)]
    return { ...rest, page: { ...rest.page, size: items.length }, items, stored: cut.repeated }
  }

  /** Null if the plain reader must read the page; it reports faults in the page's own characters. */
  #readFast({ page, body }: PageHead, cut: Cut | null): ReadPage | null {
    const part = cut ? cut.rest : body
    if (part.includes('\\u')) return null
    const parsed = this.#parse(part, cut ? cutEnd : '')
    const list = parsed && toItems({ type: 'json', json: parsed.json })
    if (!parsed || list?.type !== 'items') return null
    const reading = { text: latin1TextOf, track: parsed.track }
    const items = list.items.map((item) => toItem(item, page.fetchedAt, reading))
    if (items.some(({ type }) => type === 'rejected')) return null
    return { type: 'page', page: { ...page, size: items.length }, items, stored: 0 }
  }

  #parse(body: Buffer, end: string): ReturnType<KnownTracks['parse']> | null {
    try {
      return this.#o.tracks.parse(body, end)
    } catch {
      return null
    }
  }

  /** Keeps a page to compare the next one with, if all its items are plays. */
  #keep({ page, body }: PageHead, { items }: ReadPage, fullAt: number): void {
    if (items.some(({ type }) => type !== 'play')) return
    const shown = toShownPage({ body, fetchedAt: page.fetchedAt, items, fullAt })
    if (shown) this.shown.set(page.userId, shown)
  }
}
