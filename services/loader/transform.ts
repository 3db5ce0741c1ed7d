import type { DeadLetter } from '../../lib/kafka/dead-letter.ts'
import type { ValueRecord } from '../../lib/kafka/record.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { compareText, dayOf } from './catalogue.ts'
import type { DropReason, Item, RejectReason } from './item.ts'
import type { Page } from './page.ts'
import { compareUsers } from './page.ts'
import type { PageReader, ReadPage } from './page-reader.ts'
import { plainReader, toPastDigests } from './page-reader.ts'
import { Sightings } from './sightings.ts'
import type { PageWindow } from './windows.ts'
import { toPageWindow, toShown } from './windows.ts'

export interface PlayRow {
  userId: string
  /** Unix time in milliseconds. */
  playedAt: number
  trackId: string
  contextType: string | null
  contextUri: string | null
  source: string
  partition: number
  offset: number
  /** When the page's record was made, Unix ms, or null if not known. */
  timestamp: number | null
  /** That of the page. */
  incarnation: number | null
}

/** An item that cannot be stored; see {@link RejectReason}. */
export interface RejectedItem {
  /** Index into {@link HistoryBatch.pages}. */
  page: number
  /** Place on the page, from 0. */
  index: number
  userId: string
  digest: string
  reason: RejectReason
  trackName: string | null
}

/** Digests of items that are read as plays now. Computed on demand, because few users have rejected items. */
export interface Healed {
  userId: string
  digests: () => readonly string[]
}

export interface HistoryPage {
  page: Page
  items: readonly Item[]
  /** The window that it shows, or null if it shows none or is not a window of Spotify's. */
  window: PageWindow | null
}

/** The rows of a batch of pages. Every item is counted once: `items` = `plays` + `dropped` + `rejected`. */
export interface HistoryBatch {
  /** In offset order, without the dead letters. */
  pages: readonly HistoryPage[]
  /** Plays that may not be stored yet: each key once, as the first page shows it, sorted by key. */
  plays: readonly PlayRow[]
  /** Tracks with their albums and artists. */
  seen: Sightings
  rejected: readonly RejectedItem[]
  /** Rejections that the plays of pages may have had before. */
  healed: readonly Healed[]
  /** Records that are not pages. */
  deadLetters: readonly DeadLetter[]
  counts: ItemCounts
}

interface ItemCounts {
  items: number
  /** Items that are plays, duplicates included. */
  plays: number
  dropped: Partial<Record<DropReason, number>>
  rejected: Partial<Record<RejectReason, number>>
}

interface Collected {
  pages: HistoryPage[]
  plays: Map<string, PlayRow>
  seen: Sightings
  rejected: RejectedItem[]
  healed: Healed[]
  counts: ItemCounts
}

/**
 * Turns records of `spotify.recently-played`, in offset order, into rows.
 *
 * @param erased users whose data must not be stored: the items of their pages are dropped
 */
export function toHistory(
  records: readonly ValueRecord<SpotifyResponse>[],
  { reader = plainReader(), erased }: { reader?: PageReader; erased?: ReadonlySet<string> } = {},
): HistoryBatch {
  const deadLetters: DeadLetter[] = []
  const collected: Collected = {
    pages: [],
    plays: new Map(),
    seen: new Sightings(),
    rejected: [],
    healed: [],
    counts: { items: 0, plays: 0, dropped: {}, rejected: {} },
  }
  for (const record of records) {
    const read = reader.read(record)
    if (read.type !== 'page') deadLetters.push({ record, reason: read.reason, message: read.message })
    else if (erased?.has(read.page.userId)) dropPage(collected, read.page)
    else collectPage(collected, read, record.value.body)
  }
  return { ...collected, plays: [...collected.plays.values()].sort(byKey), deadLetters }
}

function dropPage({ counts }: Collected, { size }: Page): void {
  counts.items += size
  counts.dropped.erased_user = (counts.dropped.erased_user ?? 0) + size
}

function collectPage(into: Collected, read: ReadPage, body: Buffer): void {
  const { page, items } = read
  const firstStored = items.length - read.stored
  for (const [index, item] of items.entries()) {
    into.counts.items++
    if (item.type === 'play') collectPlay(into, page, index < firstStored ? item : null)
    else if (item.type === 'rejected') reject(into, page, { ...item, index })
    else into.counts.dropped[item.reason] = (into.counts.dropped[item.reason] ?? 0) + 1
  }
  into.healed.push({ userId: page.userId, digests: () => toPastDigests(body, items) })
  into.pages.push({ page, items, window: page.isWindow ? toWindow(page, items) : null })
}

/** @param play null if it is stored already */
function collectPlay(into: Collected, page: Page, play: Play | null): void {
  into.counts.plays++
  if (!play) return
  into.seen.addTrack(play.track, { at: page.fetchedAt, day: dayOf(page.fetchedAt) })
  const key = `${page.userId} ${play.playedAt} ${play.track.id}`
  if (!into.plays.has(key)) into.plays.set(key, toPlayRow(page, play))
}

function reject(into: Collected, { userId }: Page, item: Rejected & { index: number }): void {
  const { reason, digest, trackName, index } = item
  into.counts.rejected[reason] = (into.counts.rejected[reason] ?? 0) + 1
  into.rejected.push({ page: into.pages.length, index, userId, digest, reason, trackName })
}

function toWindow({ fetchedAt }: Page, items: readonly Item[]): PageWindow | null {
  return toPageWindow(
    items.flatMap((item) => toShown(item) ?? []),
    fetchedAt,
  )
}

type Play = Extract<Item, { type: 'play' }>
type Rejected = Extract<Item, { type: 'rejected' }>

function toPlayRow(page: Page, { playedAt, track, context }: Play): PlayRow {
  return {
    userId: page.userId,
    playedAt,
    trackId: track.id,
    contextType: context.type,
    contextUri: context.uri,
    source: page.source,
    partition: page.partition,
    offset: page.offset,
    timestamp: page.timestamp,
    incarnation: page.incarnation,
  }
}

export function byKey(a: PlayRow, b: PlayRow): number {
  return compareUsers(a.userId, b.userId) || a.playedAt - b.playedAt || compareText(a.trackId, b.trackId)
}

const itemsNamed = 10

/**
 * The dead letter of a page for rejected items that it reports.
 *
 * @param items of one page, at least one
 */
export function toItemDeadLetter(page: Page, items: readonly RejectedItem[]): DeadLetter {
  const named = items.slice(0, itemsNamed).map(({ index, reason, trackName }) => {
    return `items[${index}]: ${reason}${trackName === null ? '' : ` (track "${trackName}")`}`
  })
  const more = items.length > itemsNamed ? `; and ${items.length - itemsNamed} more` : ''
  const message = `${items.length} of ${page.size} items cannot be told: ${named.join('; ')}${more}`
  return { record: page.record, reason: 'rejected_item', message }
}
