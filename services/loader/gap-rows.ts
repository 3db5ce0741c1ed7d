import type { Page } from './page.ts'
import type { Gap } from './windows.ts'

/** What a page is called where it closed a gap. */
export type PagePlace = Pick<Page, 'source' | 'partition' | 'offset'>

/** A row of `gaps` while a batch is worked on. */
export interface GapRow extends Gap {
  userId: string
  /** Null if it is not stored yet. */
  id: number | null
  /** The row whose gap this one was a part of; null for a gap of its own. */
  part: GapRow | null
  /**
   * Nobody is alerted yet: series of plays have been seen to vanish from Spotify's window and to come back minutes
   * later, so a gap has to outlive the next page that shows something new.
   */
  awaitsPage: boolean
  /** Operators may be alerted from this batch on. */
  isDue: boolean
  /** Nobody is alerted at all. */
  quiet: boolean
  closedBy: PagePlace | null
  isChanged: boolean
}

/**
 * Brings the rows of a user's gaps to what the windows say after a page. A gap that became smaller keeps its row, of
 * one that was split the older part does; the others are new rows. A gap without an open row was closed by somebody
 * else, as by an import, and stays so.
 *
 * @param rows open rows of the user; they are changed
 * @param quiet the page is a rerun of one that was loaded before: it alerts nobody
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

/** The gap that another one is left of. */
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
