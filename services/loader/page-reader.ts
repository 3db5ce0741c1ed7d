import type { ValueRecord } from '../../lib/kafka/record.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { Item } from './item.ts'
import { digestOf, rejectReasons, toItem } from './item.ts'
import type { NoPage, Page } from './page.ts'
import { parseJson, toItems, toPageHead } from './page.ts'

/** A page that was read. */
export interface ReadPage {
  type: 'page'
  page: Page
  /** In the page's order, newest first. */
  items: readonly Item[]
  /** How many items, counted from the last one, are plays that are stored already. */
  stored: number
}

/** Reads records of `spotify.recently-played`, those of one batch in offset order. */
export interface PageReader {
  /** @returns dead letters `invalid_key`, `invalid_record`, `unexpected_status`, `invalid_json`, `invalid_page` */
  read(record: ValueRecord<SpotifyResponse>): ReadPage | NoPage
}

/**
 * The reference reader: it reads each page by itself and in full. Every other reader returns the same items.
 *
 * @param sureTime a time that has surely passed (Unix ms), for pages fetched by a slow clock
 */
export function plainReader(sureTime = 0): PageReader {
  return {
    read(record) {
      const head = toPageHead(record)
      if (head.type !== 'head') return head
      const list = toItems(parseJson(head.body))
      if (list.type !== 'items') return list
      const latest = Math.max(head.page.fetchedAt, sureTime)
      const items = list.items.map((item) => toItem(item, latest))
      return {
        type: 'page',
        page: { ...head.page, size: items.length },
        items,
        stored: 0,
      }
    },
  }
}

/** Digests under which the plays of a page may have been rejected before, as in the future or by another parser. */
export function toPastDigests(body: Buffer, items: readonly Item[]): string[] {
  const list = toItems(parseJson(body))
  if (list.type !== 'items') return []
  const plays = list.items.filter((_, i) => items[i]?.type === 'play')
  return plays.flatMap((item) => rejectReasons.map((reason) => digestOf(item, reason)))
}
