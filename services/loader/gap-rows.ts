import type { Page } from './page.ts'
import type { Gap } from './windows.ts'

/** The page that closed a gap. */
export type PagePlace = Pick<Page, 'source' | 'partition' | 'offset'>

/** A row of `gaps` while a batch is processed. */
export interface GapRow extends Gap {
  userId: string
  /** Null if it is not stored yet. */
  id: number | null
  /** The row whose gap this one was split from, or null. */
  part: GapRow | null
  /**
   * No alert yet: plays sometimes vanish from Spotify's window and come back minutes later, so a gap must outlive the
   * next page that shows something new.
   */
  awaitsPage: boolean
  /** The alert is due from this batch on. */
  isDue: boolean
  /** It never alerts. */
  quiet: boolean
  closedBy: PagePlace | null
  isChanged: boolean
}

/**
 * Updates the rows of a user's gaps to the windows after a page. A gap that became smaller keeps its row. When a
 * gap is split, its oldest part keeps the row, and the others are new rows. A gap without an open row was closed in
 * another way, for example by an import, and stays closed.
 *
 * @param rows open rows of the user; they are changed
 * @param quiet the page was loaded before (a rerun): its gaps do not alert
 * @returns rows that are new
 */
export function followGaps(
  rows: readonly GapRow[],
  change: { before: readonly Gap[]; after: readonly Gap[] },
  { userId, page, quiet }: { userId: string; page: PagePlace; quiet: boolean },
): GapRow[] {
  const added: GapRow[] = []
  const open = rows.filter((row) => row.closedBy === null)
  const childrenOf = (parent: Gap) => change.after.filter((gap) => findParent(change.before, gap) === parent)
  for (const parent of change.before) {
    const [row, ...doubles] = open
      .filter(({ after }) => after >= parent.after && after < parent.before)
      .sort((a, b) => Number(isSameGap(b, parent)) - Number(isSameGap(a, parent)) || a.after - b.after)
    for (const double of doubles) close(double, page)
    if (!row) continue
    const [first, ...others] = childrenOf(parent)
    if (!first) close(row, page)
    else {
      move(row, first)
      if (!quiet && row.awaitsPage) Object.assign(row, { awaitsPage: false, isDue: true, isChanged: true })
      added.push(...others.map((gap) => ({ ...row, ...gap, id: null, part: row })))
    }
  }
  const found = change.after.filter((gap) => !findParent(change.before, gap))
  const fresh = { userId, id: null, part: null, closedBy: null, isDue: false, isChanged: true }
  return [...added, ...found.map((gap) => ({ ...fresh, ...gap, awaitsPage: !quiet, quiet }))]
}

function isSameGap(a: Gap, b: Gap): boolean {
  return a.after === b.after && a.before === b.before
}

/** The gap that this one remains of. */
function findParent(gaps: readonly Gap[], { after, before }: Gap): Gap | undefined {
  return gaps.find((gap) => gap.after === after || (gap.after <= after && before <= gap.before))
}

function move(row: GapRow, { after, before }: Gap): void {
  if (row.after === after && row.before === before) return
  Object.assign(row, { after, before, isChanged: true })
}

function close(row: GapRow, page: PagePlace): void {
  Object.assign(row, { closedBy: page, isChanged: true })
}
