/**
 * The rule for windows and gaps of one user.
 *
 * A page is Spotify's window of the last plays: between two of its items Spotify knew of nothing else. Two pages
 * are continuous if the one that reaches further shows the newest item of the other, of any type. The number of
 * items does not matter, and overlapping times prove nothing by themselves. The newest item of a page is an open
 * edge if no page that reaches further shows it. There a window ends, and a gap lies between it and the next item
 * that any page shows. The user's newest item of all is an open edge too, but begins no gap.
 *
 * Windows are the stretches between open edges. They depend only on the set of pages, not on their order: a late page
 * closes the edges that it shows, and opens its own unless another page has shown it.
 */
import type { Item } from './item.ts'

/** An item as it is identified across pages. */
export interface Shown {
  /** Unix time in milliseconds, or null if the item has none. */
  at: number | null
  /** Distinguishes items of one moment; the same on every page that shows the item. */
  id: string
  /** The track under which a play is stored; absent if the item is not a play. */
  trackId?: string
}

/** What a page shows of its user's time. */
export interface PageWindow {
  newest: number
  /**
   * The items at the newest moment, by {@link edgeKey}. Spotify lists the newest item first, so items listed before
   * them, such as one without a time, belong to the edge too.
   */
  edge: readonly string[]
  /** Times of the items that the window covers, including the newest. */
  reach: readonly number[]
  /** All items that can be identified on other pages. */
  shown: readonly Shown[]
}

/** A stretch of time that pages have shown completely. */
export interface Window {
  oldest: number
  newest: number
  /**
   * Items of {@link PageWindow.edge} that no page which reaches further shows. If pages end at one moment with
   * different items, there may be several groups; items of a group are on one page, or on pages that share one.
   */
  edges: readonly (readonly string[])[]
}

/** Plays between the two times, both exclusive, were not seen. Unix ms. */
export interface Gap {
  after: number
  before: number
}

/** What earlier pages have shown; used for a page that does not reach beyond all of them. */
export interface Past {
  /** Whether any of them has shown this item of the page's newest moment. */
  knows: (id: string) => boolean
  /**
   * Whether the page was loaded before, perhaps by another parser, and an item is stored at its newest moment. That
   * is an item of the page, and its edge was opened then.
   */
  isLoaded: boolean
  /** Time of the first item after the page's newest one, or null if there is none. */
  next: () => number | null
}

/** Times before Spotify existed are absurd. */
const earliestMs = Date.UTC(2006, 3, 23)
const dayMs = 86_400_000
/**
 * An item further ahead of the fetch comes from a fast clock and is not the newest one: it would stay on top of the
 * list while others leave it.
 */
const aheadMs = 60_000

/** Ids of tracks never begin like these. */
const otherPrefix = '-'
const elsewherePrefix = '@'

/** An item as it is identified on other pages, or null if it cannot be. */
export function toShown(item: Item): Shown | null {
  if (item.type === 'play') return { at: item.playedAt, id: item.key, trackId: item.track.id }
  if (item.type === 'drop') {
    return item.playedAt === null ? null : { at: item.playedAt, id: otherPrefix + item.reason }
  }
  const isNamed = item.playedAt !== null || item.trackName !== null
  return isNamed ? { at: item.playedAt, id: otherPrefix + item.digest } : null
}

/** The key of an item in the edge of a window that ends at `newest`. */
function edgeKey({ at, id }: Pick<Shown, 'at' | 'id'>, newest: number): string {
  return at === null || at === newest ? id : `${elsewherePrefix}${at} ${id}`
}

/** Whether an id belongs to a play. */
export function isPlay(id: string): boolean {
  return !id.startsWith(otherPrefix)
}

/**
 * The window that a page shows, or null if none of its items has a valid time.
 *
 * Times ahead of the fetch, or from before Spotify existed, are ignored. A single item more than a day older than
 * all others of the page does not stretch the window: it comes from a wrong clock or a device that was offline for
 * long. A user who comes back after weeks has several old plays, or one that an earlier page showed as its newest;
 * that one still connects the two pages.
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

/** Adds a page to the windows of a user, in the order of time. Windows that do not change stay the same objects. */
export function addPage(windows: readonly Window[], page: PageWindow, past: Past): readonly Window[] {
  const linked = windows.map((window) => withoutShown(window, page))
  const reached = stretch(openEdge(linked, page, past), page)
  const joined = join(reached)
  return isSame(windows, joined) ? windows : joined
}

export function toGaps(windows: readonly Window[]): Gap[] {
  return windows.slice(1).map(({ oldest }, i) => ({ after: windows[i]?.newest ?? oldest, before: oldest }))
}

/** Closes the edges of a window that a page shows and reaches beyond. */
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
 * Another parser may read a play where there was none, or give another reason why it is none. At the same millisecond
 * both are the same item, unless they are plays of different tracks.
 */
function isOtherKind(key: string, id: string): boolean {
  const isElsewhere = key.startsWith(elsewherePrefix) || id.startsWith(elsewherePrefix)
  return !isElsewhere && !(isPlay(key) && isPlay(id))
}

/** Opens the page's own edge, unless a page that reaches further has shown it. */
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

/** Adds the edge of a page to a window that ends at the same moment. */
function withGroup(window: Window, { edge }: PageWindow, past: Past, isLast: boolean): Window {
  const isIn = (group: readonly string[]) => (id: string) =>
    group.some((key) => key === id || isOtherKind(key, id))
  const meets = window.edges.filter((group) => edge.some(isIn(group)))
  const group = [...new Set([...meets.flat(), ...edge])].sort()
  const others = window.edges.filter((other) => !meets.includes(other))
  const isOpen = (id: string) => window.edges.some((other) => other.includes(id))
  // An item that is known but not an open edge was shown by a page that reaches further.
  const isShown = !isLast && edge.some((id) => past.knows(id) && !isOpen(id))
  return { ...window, edges: isShown ? others : [...others, group].sort(byText) }
}

/** Stretches each window back to the oldest item of the page that falls into it. */
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
