import type { Sql } from '../../lib/postgres.ts'
import type { PolledPage } from './claims.ts'
import { recordPages } from './claims.ts'

/**
 * Ends a lease after a page; call it only when the page is in the topic.
 *
 * @returns whether the lease still held
 */
export type RecordPage = (page: PolledPage) => Promise<boolean>

interface Waiting {
  page: PolledPage
  resolve: (isKept: boolean) => void
  reject: (error: unknown) => void
}

const mostAtOnce = 100

/**
 * Records pages, one statement at a time. Pages that arrive during a statement share the next one, so a busy poller
 * commits once for many users and an idle one does not wait. A failed statement fails for all its pages and changes
 * the state of none.
 */
export function createPageRecorder(sql: Sql): RecordPage {
  let waiting: Waiting[] = []
  let isBusy = false

  async function drain(): Promise<void> {
    isBusy = true
    while (waiting.length > 0) {
      const batch = waiting.slice(0, mostAtOnce)
      waiting = waiting.slice(mostAtOnce)
      try {
        const kept = await recordPages(
          sql,
          batch.map(({ page }) => page),
        )
        for (const { page, resolve } of batch) resolve(kept.has(page.leaseId))
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    isBusy = false
  }

  return (page) =>
    new Promise((resolve, reject) => {
      waiting.push({ page, resolve, reject })
      if (!isBusy) void drain()
    })
}
