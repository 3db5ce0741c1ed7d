import type { ValueRecord } from '../../lib/kafka/record.ts'
import type { DeadLetter } from '../../lib/kafka/sink.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { Catalogue } from './catalogue.ts'
import { compareText, dayOf } from './catalogue.ts'
import type { DropReason, Item, RejectReason } from './item.ts'
import { contextOf, toItem } from './item.ts'
import { KnownTracks } from './known-tracks.ts'
import type { Page, PageResult } from './page.ts'
import { toPage } from './page.ts'
import type { ShownPage } from './shown-page.ts'
import { cutRepeated, toShownPage } from './shown-page.ts'
import { Sightings } from './sightings.ts'
import type { PageWindow, Shown } from './windows.ts'
import { toPageWindow, toShown } from './windows.ts'
import type { Written } from './written.ts'

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
}

/** An item that cannot be told. */
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

interface HistoryPage {
  page: Page
  /** What it shows of the user's time; null: nothing, or it is no window of Spotify's. */
  window: PageWindow | null
}

/** What a batch of pages becomes. Every item is counted once: `items` = `plays` + `dropped` + `rejected`. */
export interface HistoryBatch {
  /** In offset order, without the dead letters. */
  pages: readonly HistoryPage[]
  /** Each key once, as the first page shows it, sorted by key. */
  plays: readonly PlayRow[]
  catalogue: Catalogue
  rejected: readonly RejectedItem[]
  /** Records that are no pages. */
  deadLetters: readonly DeadLetter[]
  /** The newest page of each user that the next one may be compared with. */
  shown: ReadonlyMap<string, ShownPage>
  counts: ItemCounts
}

/** What is known before a batch. */
export interface Before {
  /** Users of whom nothing may be kept: the items of their pages are drops. */
  erased?: ReadonlySet<string>
  /** Tracks that other pages have shown; none of them: those of these records alone. */
  tracks?: KnownTracks
  /** Rows of the catalogue that are committed. */
  written?: Written
  /** Pages whose plays are stored, by user; without it every page is read in full. */
  shown?: { get(userId: string): ShownPage | undefined }
}

interface ItemCounts {
  items: number
  /** Items that are plays, duplicates included. */
  plays: number
  dropped: Partial<Record<DropReason, number>>
  rejected: Partial<Record<RejectReason, number>>
}

const dayMs = 86_400_000

interface Collected {
  pages: HistoryPage[]
  plays: Map<string, PlayRow>
  sightings: Sightings
  rejected: RejectedItem[]
  counts: ItemCounts
}

/** Turns records of `spotify.recently-played`, in offset order, into rows. */
export function toHistory(
  records: readonly ValueRecord<SpotifyResponse>[],
  before: Before = {},
): HistoryBatch {
  const { tracks = new KnownTracks() } = before
  const deadLetters: DeadLetter[] = []
  const shown = new Map<string, ShownPage>()
  const collected: Collected = {
    pages: [],
    plays: new Map(),
    sightings: new Sightings(),
    rejected: [],
    counts: { items: 0, plays: 0, dropped: {}, rejected: {} },
  }
  for (const record of records) {
    const userId = record.value.subject
    const last = before.shown && (shown.get(userId) ?? before.shown.get(userId))
    const result = readPage(record, tracks, last)
    if (result.type !== 'page') {
      deadLetters.push({ record, reason: result.reason, message: result.message })
    } else if (before.erased?.has(userId)) {
      dropPage(collected, result.page)
    } else {
      collectPage(collected, result)
      const latest = before.shown ? toLatest(record, result) : null
      if (latest) shown.set(userId, latest)
    }
  }
  return {
    pages: collected.pages,
    plays: [...collected.plays.values()].sort(byKey),
    catalogue: collected.sightings.toCatalogue(before.written),
    rejected: collected.rejected,
    deadLetters,
    shown,
    counts: collected.counts,
  }
}

type ReadPage = Extract<PageResult, { type: 'page' }> & {
  told: readonly Item[]
  /** Plays that follow these items; they are known, and were not read again. */
  repeated: readonly { at: number; id: string }[]
}
type Unread = Exclude<PageResult, { type: 'page' }>

/** A page with an item that cannot be told is read in full: what is said of such items shows all of them. */
function readPage(
  record: ValueRecord<SpotifyResponse>,
  tracks: KnownTracks,
  last: ShownPage | undefined,
): ReadPage | Unread {
  const fast = (last && readRest(record, tracks, last)) ?? tell(toPage(record, tracks))
  const isTold = fast.type !== 'page' || fast.told.every((item) => item.type !== 'rejected')
  return isTold ? fast : tell(toPage(record, 'plain'))
}

/**
 * Reads what a page shows beyond the one before. What is repeated has been told under the same date, so that its
 * numbers of the day are known too. null: the page is to be read in full.
 */
function readRest(
  record: ValueRecord<SpotifyResponse>,
  tracks: KnownTracks,
  before: ShownPage,
): ReadPage | null {
  const { value } = record
  const days = [value, before].map(({ fetchedAt }) => Math.floor(fetchedAt / dayMs))
  if (value.fetchedAt < before.fetchedAt || days[0] !== days[1]) return null
  const cut = cutRepeated(value.body, before)
  if (!cut) return null
  const rest = tell(toPage(record, tracks, cut))
  if (rest.type !== 'page') return null
  const ids = before.trackIds.slice(0, cut.repeated)
  return { ...rest, repeated: ids.map((id, i) => ({ at: before.playedAt[i] ?? 0, id })) }
}

function tell(result: PageResult): ReadPage | Unread {
  if (result.type !== 'page') return result
  const { page, items, read } = result
  return { ...result, told: items.map((raw) => toItem(raw, page.fetchedAt, read)), repeated: [] }
}

/** The page as the user's next one may be compared with it; null when it shows more than plays. */
function toLatest({ value }: ValueRecord<SpotifyResponse>, { told, repeated }: ReadPage): ShownPage | null {
  const plays = told.flatMap((item) => (item.type === 'play' ? { at: item.playedAt, id: item.trackId } : []))
  if (plays.length < told.length) return null
  const all = [...plays, ...repeated]
  return toShownPage({
    ...{ body: value.body, fetchedAt: value.fetchedAt },
    ...{ playedAt: all.map(({ at }) => at), trackIds: all.map(({ id }) => id) },
  })
}

function dropPage({ counts }: Collected, { size }: Page): void {
  counts.items += size
  counts.dropped.erased_user = (counts.dropped.erased_user ?? 0) + size
}

function collectPage(into: Collected, { page, items, told, read, repeated }: ReadPage): void {
  const { fetchedAt, userId } = page
  const { counts } = into
  const fetched = { at: fetchedAt, day: dayOf(fetchedAt) }
  const shown: Shown[] = []
  for (const [index, item] of told.entries()) {
    const raw = items[index]
    counts.items++
    const again = toShown(item)
    if (again) shown.push(again)
    if (item.type === 'rejected') {
      const { reason, digest, trackName } = item
      counts.rejected[reason] = (counts.rejected[reason] ?? 0) + 1
      into.rejected.push({ page: into.pages.length, index, userId, digest, reason, trackName })
      continue
    }
    if (item.type === 'drop') {
      counts.dropped[item.reason] = (counts.dropped[item.reason] ?? 0) + 1
      continue
    }
    counts.plays++
    into.sightings.addTrack(item.trackId, item.track, fetched, read)
    const key = `${userId} ${item.playedAt} ${item.trackId}`
    if (!into.plays.has(key)) into.plays.set(key, toPlayRow(page, item, contextOf(raw, read)))
  }
  counts.items += repeated.length
  counts.plays += repeated.length
  shown.push(...repeated)
  into.pages.push({ page, window: page.isWindow ? toPageWindow(shown, fetchedAt) : null })
}

function toPlayRow(
  page: Page,
  play: { playedAt: number; trackId: string },
  context: ReturnType<typeof contextOf>,
): PlayRow {
  return {
    userId: page.userId,
    playedAt: play.playedAt,
    trackId: play.trackId,
    contextType: context.type,
    contextUri: context.uri,
    source: page.source,
    partition: page.partition,
    offset: page.offset,
  }
}

function byKey(a: PlayRow, b: PlayRow): number {
  return compareText(a.userId, b.userId) || a.playedAt - b.playedAt || compareText(a.trackId, b.trackId)
}

const itemsNamed = 10

/**
 * The dead letter of a page for items that it is the first to show.
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
