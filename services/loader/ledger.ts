import { overRecords } from '../../lib/errors.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { GapRow, PagePlace } from './gap-rows.ts'
import { followGaps } from './gap-rows.ts'
import { insertGaps, readOpenGaps, updateGaps } from './gap-store.ts'
import { compareUsers } from './page.ts'
import type { KnownMoment, Moment } from './window-store.ts'
import { insertShownItems, lockWindows, readMoments, writeWindows } from './window-store.ts'
import type { PageWindow, Past, Shown, Window } from './windows.ts'
import { addPage, isPlay, toGaps } from './windows.ts'

/** A page and the window that it shows. */
export interface WindowPage {
  page: PagePlace & { userId: string }
  window: PageWindow
}

/** What a batch changed in the gaps. */
export interface LedgerEffect {
  found: number
  closed: number
  /** Gaps whose alert is due now. */
  due: number
}

/**
 * Records what pages show, and which gaps open, change and close by it; see `windows.ts` for the rule. Call it before
 * the plays of the same pages are stored, because stored plays count as shown by earlier pages.
 *
 * A page that shows nothing new writes nothing; usually a page moves the end of one window, which is one row.
 *
 * @param quiet the pages were loaded before: gaps that they reveal are stored but do not alert
 */
export async function recordWindows(
  sql: Sql,
  pages: readonly WindowPage[],
  quiet: boolean,
): Promise<LedgerEffect> {
  if (pages.length === 0) return { found: 0, closed: 0, due: 0 }
  const userIds = [...new Set(pages.map(({ page }) => page.userId))].sort(compareUsers)
  const { windows: before, played } = await lockWindows(sql, userIds)
  const known = await readPast(sql, pages, before)
  const rows = await readOpenGaps(
    sql,
    userIds.filter((userId) => (before.get(userId)?.length ?? 0) > 1),
  )
  const { after, added } = overRecords(() => follow(pages, { before, known, rows, quiet }))

  await insertShownItems(sql, pages.flatMap(toOthers))
  await writeWindows(
    sql,
    userIds.flatMap((userId) => {
      const windows = after.get(userId)
      const isNew = windows !== before.get(userId) || played.has(userId)
      return windows && isNew ? [[userId, windows] as const] : []
    }),
  )
  await updateGaps(
    sql,
    rows.filter((row) => row.isChanged),
  )
  await insertGaps(sql, added)
  const all = [...rows, ...added]
  return {
    found: added.filter((row) => row.part === null).length,
    closed: all.filter((row) => row.closedBy !== null).length,
    due: all.filter((row) => row.isDue && row.closedBy === null).length,
  }
}

/** Items of a page that are not plays but have a time. */
function toOthers({ page, window }: WindowPage): Moment[] {
  return window.shown.flatMap(({ at, id }) =>
    at === null || isPlay(id) ? [] : { userId: page.userId, at, id },
  )
}

/** What is stored about the newest moments of pages that do not reach beyond all earlier ones. */
async function readPast(
  sql: Sql,
  pages: readonly WindowPage[],
  windows: ReadonlyMap<string, readonly Window[]>,
): Promise<Map<string, KnownMoment>> {
  const newest = new Map([...windows].map(([userId, of]) => [userId, of.at(-1)?.newest ?? -Infinity]))
  const moments = new Map<string, Moment & Pick<Shown, 'trackId'>>()
  for (const { page, window } of pages) {
    const { userId } = page
    if (window.newest > (newest.get(userId) ?? -Infinity)) newest.set(userId, window.newest)
    else
      for (const id of window.edge) {
        const item = window.shown.find((s) => s.id === id && s.at === window.newest)
        moments.set(keyOf(userId, window, id), { ...item, userId, at: window.newest, id })
      }
  }
  const known = await readMoments(sql, [...moments.values()])
  return new Map([...moments.keys()].flatMap((key, i) => (known[i] ? [[key, known[i]] as const] : [])))
}

const keyOf = (userId: string, { newest }: PageWindow, id: string) => `${userId} ${newest} ${id}`

/** Adds the pages in order, with the same result as if each were a batch of its own. */
function follow(
  pages: readonly WindowPage[],
  of: {
    before: ReadonlyMap<string, readonly Window[]>
    known: ReadonlyMap<string, KnownMoment>
    rows: readonly GapRow[]
    quiet: boolean
  },
): { after: Map<string, readonly Window[]>; added: GapRow[] } {
  const after = new Map(of.before)
  const added: GapRow[] = []
  const earlier = new Map<string, PageWindow[]>()
  for (const { page, window } of pages) {
    const { userId } = page
    const windows = after.get(userId) ?? []
    const batch = earlier.get(userId) ?? []
    const next = addPage(
      windows,
      window,
      toPast({ userId, window, batch, known: of.known, isRerun: of.quiet }),
    )
    earlier.set(userId, batch)
    batch.push(window)
    if (next === windows) continue
    after.set(userId, next)
    if (windows.length < 2 && next.length < 2) continue
    const change = { before: toGaps(windows), after: toGaps(next) }
    const open = [...of.rows, ...added].filter((row) => row.userId === userId)
    added.push(...followGaps(open, change, { userId, page, quiet: of.quiet }))
  }
  return { after, added }
}

function toPast(of: {
  userId: string
  window: PageWindow
  batch: readonly PageWindow[]
  known: ReadonlyMap<string, KnownMoment>
  isRerun: boolean
}): Past {
  const { userId, window, batch, known, isRerun } = of
  const { newest, edge } = window
  const stored = (id: string) => known.get(keyOf(userId, window, id))
  return {
    isLoaded: isRerun && edge.some((id) => stored(id)?.isMoment),
    knows: (id) =>
      stored(id)?.isKnown === true ||
      batch.some((page) => page.shown.some((item) => item.at === newest && item.id === id)),
    next() {
      const times = batch.flatMap((page) => page.reach.filter((at) => at > newest))
      const next = Math.min(...times, ...edge.flatMap((id) => stored(id)?.next ?? []))
      return next === Infinity ? null : next
    },
  }
}
