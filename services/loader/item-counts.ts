import type { DeadLetter } from '../../lib/kafka/dead-letter.ts'
import type { UnclaimedPlay } from './claim-store.ts'
import type { Place } from './history-store.ts'
import { rejectedKey } from './history-store.ts'
import type { LedgerEffect } from './ledger.ts'
import type { HistoryBatch } from './transform.ts'
import { toItemDeadLetter } from './transform.ts'

/** What a batch changed in the database. */
export interface HistoryEffect {
  /** New plays, by the page that showed them first. */
  stored: readonly (Place & { stored: number })[]
  /** Plays that a fixed parser reads differently; only in a rerun. */
  playsRepaired: number
  /** Plays that no page claims any more; only in a rerun. */
  removed: readonly UnclaimedPlay[]
  /** Plays that their own page no longer claims and that now belong to another one. */
  kept: number
  /** What a rerun could not judge: facts that a version does not state, and unclaimed plays that stay. */
  unjudged: number
  /** The page that reports a rejected item, by {@link rejectedKey}. */
  reporters: ReadonlyMap<string, Place>
  gaps: LedgerEffect
  /** Rows of the catalogue that are new or changed. */
  catalogueRows: number
}

/** Terminal states of a batch's items; `items` = `stored` + `duplicates` + `dropped` + `rejected`. */
export interface ItemCounts {
  pages: number
  items: number
  stored: number
  duplicates: number
  dropped: number
  rejected: number
  /** Duplicates whose row was updated. */
  repaired: number
  gaps: number
}

export function toItemCounts({ pages, counts }: HistoryBatch, effect: HistoryEffect): ItemCounts {
  const stored = effect.stored.reduce((sum, page) => sum + page.stored, 0)
  return {
    pages: pages.length,
    items: counts.items,
    stored,
    duplicates: counts.plays - stored,
    dropped: sum(counts.dropped),
    rejected: sum(counts.rejected),
    repaired: effect.playsRepaired,
    gaps: effect.gaps.found,
  }
}

/**
 * Dead letters of pages with rejected items, one per page. A page reports the items that no earlier page has shown;
 * later polls show the same items and report nothing. The database stores which page reports an item, so if the
 * process dies before the dead letter is published, the page is read again and reports again. A redriven page
 * always reports, because its operator waits for the outcome.
 */
export function toReports(batch: HistoryBatch, effect: HistoryEffect): DeadLetter[] {
  return batch.pages.flatMap(({ page }, index) => {
    const items = batch.rejected.filter((item) => {
      if (item.page !== index) return false
      const reporter = effect.reporters.get(rejectedKey(item.userId, item.digest))
      return page.redriven || (reporter !== undefined && isSamePlace(reporter, page))
    })
    return items.length === 0 ? [] : [toItemDeadLetter(page, items)]
  })
}

function isSamePlace(a: Place, b: Place): boolean {
  const [one, two] = [a, b].map(({ incarnation }) => incarnation ?? 0)
  return a.partition === b.partition && a.offset === b.offset && one === two
}

function sum(counts: Partial<Record<string, number>>): number {
  return Object.values(counts).reduce((total: number, n) => total + (n ?? 0), 0)
}
