/**
 * What pages showed of one user's time.
 *
 * A page is Spotify's window of the last plays: between two items that stand on it there was nothing else that Spotify
 * knew of. Two pages are continuous when the one that reaches further shows the newest item of the other, whatever
 * that item is; how many items a page has plays no part, and times that overlap prove nothing by themselves. The newest
 * item of a page that no further page shows is an open edge: there a window ends, and between it and the next item
 * that any page shows lies a gap. The user's very newest item is an open edge too, and begins no gap.
 *
 * So the windows are the stretches between open edges. They depend on the set of pages alone, not on their order: a
 * page that comes late closes the edges that it shows, and opens its own unless a page has shown it already.
 */
import type { Item } from './item.ts'

/** An item as pages show it again. */
export interface Shown {
  /** Unix time in milliseconds; null: it does not say. */
  at: number | null
  /** Differs between items of one moment; two pages that show an item show the same, whatever parser reads them. */
  id: string
  /** The track under which a play is stored; absent: it is no play. */
  trackId?: string
}

/** What a page shows of its user's time. */
export interface PageWindow {
  newest: number
  /**
   * The items at the newest moment, by {@link edgeKey}. Spotify lists the newest one first: what is listed before them
   * counts too, as an item that says no time.
   */
  edge: readonly string[]
  /** Times of the items that the window reaches over, the newest one's included. */
  reach: readonly number[]
  /** All items that can be found again. */
  shown: readonly Shown[]
}

/** A stretch of time of which everything is shown. */
export interface Window {
  oldest: number
  newest: number
  /**
   * Items of {@link PageWindow.edge} that no further page shows. There may be several groups when pages end at one
   * moment with different items; those of one group stand on one page, or on pages that share one.
   */
  edges: readonly (readonly string[])[]
}

/** Plays between the two times, both exclusive, were not seen. Unix ms. */
export interface Gap {
  after: number
  before: number
}

/** What pages before this one have shown, asked where a page does not reach beyond all of them. */
export interface Past {
  /** Whether this item of the page's newest moment was shown by any of them. */
  knows: (id: string) => boolean
  /**
   * Whether the page was loaded before, by a parser that may have made something else of its items, and any item is
   * stored at its newest moment: that is one of the page's own, and its edge was opened then.
   */
  isLoaded: boolean
  /** Time of the first item after the page's newest one; null: there is none. */
  next: () => number | null
}

/** Before the service existed no time is one. */
const earliestMs = Date.UTC(2006, 3, 23)
const dayMs = 86_400_000
/**
 * Further ahead of its fetch an item is not the newest that Spotify showed, but one of a clock that runs ahead: it
 * would stay on top of the list while others are pushed out below it.
 */
const aheadMs = 60_000

/** Ids of tracks never begin like these. */
const otherPrefix = '-'
const elsewherePrefix = '@'

/** An item as it is found again on another page; null: it cannot be. */
export function toShown(item: Item): Shown | null {
  if (item.type === 'play') return { at: item.playedAt, id: item.key, trackId: item.track.id }
  if (item.type === 'drop') {
    return item.playedAt === null ? null : { at: item.playedAt, id: otherPrefix + item.reason }
  }
  const isNamed = item.playedAt !== null || item.trackName !== null
  return isNamed ? { at: item.playedAt, id: otherPrefix + item.digest } : null
}

/** An item of the edge of a window that ends at a moment. */
function edgeKey({ at, id }: Pick<Shown, 'at' | 'id'>, newest: number): string {
  return at === null || at === newest ? id : `${elsewherePrefix}${at} ${id}`
}

/** Whether an id is that of a play. */
export function isPlay(id: string): boolean {
  return !id.startsWith(otherPrefix)
}

/**
 * The window that a page shows; null when nothing on it has its place in time.
 *
 * A time is absurd for its page, and stretches no window, when it is ahead of the fetch, from before the service
 * existed, or by itself more than a day older than all others of the page: a single play of a clock that was wrong, or
 * one that was offline for long. Somebody who comes back after weeks has many plays that are old, or one that an
 * earlier page showed as its newest: that one connects the two all the same.
 *
 * @param items in the page's order, newest first
 */
export function toPageWindow(items: readonly Shown[], fetchedAt: number): PageWindow | null {
  const latest = fetchedAt + aheadMs
  const shown = items.filter(({ at }) => at === null || (at <= latest && at >= earliestMs))
  let [newest, oldest, second] = [-Infinity, Infinity, Infinity]
  for (const { at } of shown) {
    if (at === null) continue
    if (at > newest) newest = at
    if (at < oldest) [oldest, second] = [at, oldest]
    else if (at < second) second = at
  }
  if (newest === -Infinity) return null
  const isAlone = second < Infinity && second - oldest > dayMs
  const first = shown.findIndex(({ at }) => at === newest)
  const atEdge = shown.filter(({ at }, i) => at === newest || i < first)
  const edge = [...new Set(atEdge.map((item) => edgeKey(item, newest)))].sort()
  const reach = shown.flatMap(({ at }) => (at === null || (isAlone && at === oldest) ? [] : at))
  return { newest, edge, reach, shown }
}

/** Windows of a user in the order of time, with one page more. Those that do not change stay the same objects. */
export function addPage(windows: readonly Window[], page: PageWindow, past: Past): readonly Window[] {
  const linked = windows.map((window) => withoutShown(window, page))
  const reached = stretch(openEdge(linked, page, past), page)
  const joined = join(reached)
  return isSame(windows, joined) ? windows : joined
}

export function toGaps(windows: readonly Window[]): Gap[] {
  return windows.slice(1).map(({ oldest }, i) => ({ after: windows[i]?.newest ?? oldest, before: oldest }))
}

/** Closes the edges that a page shows and reaches beyond. */
function withoutShown(window: Window, page: PageWindow): Window {
  if (window.newest >= page.newest) return window
  const { newest } = window
  const isItem = (key: string, item: Shown) =>
    key === item.id
      ? item.at === newest || item.at === null
      : (key.startsWith(elsewherePrefix) && key === edgeKey(item, newest)) ||
        (item.at === newest && isOtherKind(key, item.id))
  const shows = (key: string) => page.shown.some((item) => isItem(key, item))
  const edges = window.edges.filter((group) => !group.some(shows))
  return edges.length === window.edges.length ? window : { ...window, edges }
}

/**
 * Another parser takes what was no play for one, or gives another reason why it is none: at the same millisecond it is
 * the same item. Only two plays of different tracks are not.
 */
function isOtherKind(key: string, id: string): boolean {
  const isElsewhere = key.startsWith(elsewherePrefix) || id.startsWith(elsewherePrefix)
  return !isElsewhere && !(isPlay(key) && isPlay(id))
}

/** Opens the page's own edge, unless a page that reaches beyond it has shown it. */
function openEdge(windows: readonly Window[], page: PageWindow, past: Past): readonly Window[] {
  const { newest } = page
  const own = { oldest: newest, newest, edges: [page.edge] }
  const index = windows.findIndex((window) => window.newest >= newest)
  const window = windows[index]
  if (!window) return [...windows, own]
  const around = (...these: Window[]) => [...windows.slice(0, index), ...these, ...windows.slice(index + 1)]
  if (window.newest === newest) return around(withGroup(window, page, past, index === windows.length - 1))
  if (past.isLoaded || page.edge.some(past.knows)) return windows
  if (newest < window.oldest) return around(own, window)
  return around({ ...own, oldest: window.oldest }, { ...window, oldest: past.next() ?? window.newest })
}

/** A window with the items of a page that ends at the same moment. */
function withGroup(window: Window, { edge }: PageWindow, past: Past, isLast: boolean): Window {
  const isIn = (group: readonly string[]) => (id: string) =>
    group.some((key) => key === id || isOtherKind(key, id))
  const meets = window.edges.filter((group) => edge.some(isIn(group)))
  const group = [...new Set([...meets.flat(), ...edge])].sort()
  const others = window.edges.filter((other) => !meets.includes(other))
  const isOpen = (id: string) => window.edges.some((other) => other.includes(id))
  // What is known and no open edge was shown by a page that reaches further.
  const isShown = !isLast && edge.some((id) => past.knows(id) && !isOpen(id))
  return { ...window, edges: isShown ? others : [...others, group].sort(byText) }
}

/** Lets each window reach back to the oldest of the page's items that fall into it. */
function stretch(windows: readonly Window[], { reach }: PageWindow): readonly Window[] {
  const oldest = windows.map((window) => window.oldest)
  for (const at of reach) {
    const index = windows.findIndex((window) => window.newest >= at)
    const known = oldest[index]
    if (known !== undefined && at < known) oldest[index] = at
  }
  return windows.map((window, i) => {
    const at = oldest[i] ?? window.oldest
    return at === window.oldest ? window : { ...window, oldest: at }
  })
}

/** Joins a window whose edges are all closed with the one after it. */
function join(windows: readonly Window[]): readonly Window[] {
  const joined: Window[] = []
  let from: number | null = null
  for (const [i, window] of windows.entries()) {
    const oldest = Math.min(from ?? window.oldest, window.oldest)
    if (window.edges.length === 0 && i < windows.length - 1) {
      from = oldest
      continue
    }
    joined.push(oldest === window.oldest ? window : { ...window, oldest })
    from = null
  }
  return joined
}

function isSame(before: readonly Window[], after: readonly Window[]): boolean {
  return (
    before.length === after.length &&
    before.every((window, i) => {
      const other = after[i]
      return (
        other === window ||
        (other?.oldest === window.oldest &&
          other.newest === window.newest &&
          JSON.stringify(other.edges) === JSON.stringify(window.edges))
      )
    })
  )
}

function byText(a: readonly string[], b: readonly string[]): number {
  const [x, y] = [JSON.stringify(a), JSON.stringify(b)]
  return x < y ? -1 : x > y ? 1 : 0
}
