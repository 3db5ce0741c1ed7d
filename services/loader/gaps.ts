/** What the gap rule needs to know of a page. Times are Unix ms. */
export interface PageSpan {
  userId: string
  fetchedAt: number
  /** Items on the page, of whatever kind. */
  size: number
  /** Oldest time on the page, dropped items included; null when nothing on it tells a time. */
  oldest: number | null
  /** Newest play that is not later than the fetch; null when there is none. */
  newest: number | null
  /** Whether the page is Spotify's window of last plays, and not an import of old ones. */
  isWindow: boolean
}

/** Plays between the two times, both exclusive, were not seen. */
export interface Gap {
  userId: string
  after: number
  before: number
}

/** Plays that Spotify shows at most: a page of fewer has room for all there are. */
const windowSize = 50

/** Whether a page can reveal a gap: its window is full, so older plays may have been pushed out of it. */
export function mayRevealGap(page: PageSpan): boolean {
  return page.isWindow && page.size >= windowSize && page.oldest !== null
}

/**
 * Finds gaps in pages of many users, each user's in the order of their fetch: plays were lost if the user had
 * plays before, the window is full, and its oldest play is newer than the newest one known. One play more or
 * less cannot be told: a window that begins right after the newest known play looks the same.
 *
 * @param known for a page, by index, the newest play of its user stored before the batch and not later than
 *   the page's fetch. Plays with a time ahead of the fetch come from wrong clocks; they would hide every gap
 *   until that time. Because of the same bound a replayed page finds its own plays, and no gap.
 */
export function findGaps(pages: readonly PageSpan[], known: ReadonlyMap<number, number | null>): Gap[] {
  const newestSeen = new Map<string, number>()
  const gaps: Gap[] = []
  for (const [index, page] of pages.entries()) {
    const newest = Math.max(known.get(index) ?? -1, newestSeen.get(page.userId) ?? -1)
    if (mayRevealGap(page) && page.oldest !== null && newest >= 0 && page.oldest > newest) {
      gaps.push({ userId: page.userId, after: newest, before: page.oldest })
    }
    if (page.newest !== null && page.newest > (newestSeen.get(page.userId) ?? -1)) {
      newestSeen.set(page.userId, page.newest)
    }
  }
  return gaps
}

/**
 * The stretch of time of which a page shows everything: a gap inside it is closed, as whatever Spotify knows
 * of it is stored with the page. Only full windows count; short pages have been seen while Spotify's feed
 * was behind. Imports close gaps by command, not here.
 */
export function shownStretch(page: PageSpan): { userId: string; oldest: number; newest: number } | null {
  if (!mayRevealGap(page) || page.oldest === null || page.newest === null) return null
  return { userId: page.userId, oldest: page.oldest, newest: page.newest }
}
