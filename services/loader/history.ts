import { checkpoint } from '../../lib/checkpoint.ts'
import { overRecords } from '../../lib/errors.ts'
import type { ValueRecord } from '../../lib/kafka/record.ts'
import type { Handler } from '../../lib/kafka/sink.ts'
import type { Logger } from '../../lib/log.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Postgres, Sql } from '../../lib/postgres.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { Catalogue } from './catalogue.ts'
import type { CatalogueEffect, Silent } from './catalogue-store.ts'
import { writeCatalogue } from './catalogue-store.ts'
import type { Verdicts } from './claim-store.ts'
import { nothingRemoved, removeUnclaimed } from './claim-store.ts'
import { forgetRejected, insertPlays, rememberRejected, repairPlays } from './history-store.ts'
import type { HistoryEffect, ItemCounts } from './item-counts.ts'
import { toItemCounts, toReports } from './item-counts.ts'
import { recordWindows } from './ledger.ts'
import { readLogNumber, withLogNumber } from './log-number.ts'
import type { Memory } from './memory.ts'
import { plainReader } from './page-reader.ts'
import type { Rebuild } from './rebuild.ts'
import { countBits } from './rebuild.ts'
import type { HistoryBatch } from './transform.ts'
import { toHistory } from './transform.ts'

export interface HistoryOptions {
  postgres: Postgres
  memory: Memory
  /** Called after a commit that may have left something to publish: wanted metadata or gaps. */
  onCommitted: () => void
  log: Logger
  /**
   * The records were loaded before, by a parser that may have been wrong. Rows are updated to what the parser now
   * reads from the same records, old gaps do not alert, and memory is not used.
   */
  rerun?: Rerun
  /** Called after each commit. */
  onAccount?: (account: ItemCounts, effect: HistoryEffect) => void
}

export interface Rerun {
  /** A time that has surely passed, Unix ms: plays before it are valid even if the clock of the fetch was slow. */
  sureTime: number
  /** What happens to plays that their own page does not claim. If absent, all stay. */
  verdicts?: Verdicts | undefined
  /** Present if all pages are read, from the first record on. */
  rebuild?: Rebuild | undefined
}

type StoredEffect = HistoryEffect & Pick<CatalogueEffect, 'inTable' | 'silent'>

/** A batch and the rows of the catalogue to write for it. */
interface ToStore {
  batch: HistoryBatch
  catalogue: Catalogue
}

/**
 * The handler of group `loader.history`: one transaction per batch. Running it again on the same records changes
 * nothing and returns the same dead letters.
 */
export function historyHandler(options: HistoryOptions): Handler<SpotifyResponse> {
  const { memory, postgres, onCommitted, onAccount, rerun, log } = options
  return (records) => {
    const recall = rerun ? null : memory.open()
    const read = toHistory(records, { reader: recall?.reader ?? plainReader(rerun?.sureTime) })
    const userIds = [...new Set(read.pages.map(({ page }) => page.userId))]
    return async () => {
      const startedAt = performance.now()
      const first = overRecords(() => ({
        batch: read,
        catalogue: recall ? recall.unwritten(read.seen) : read.seen.toCatalogue(),
      }))
      const done = await memory.transaction(postgres, userIds, async (sql, erased) => {
        const isTrue = recall?.isTrue() ?? true
        const stored =
          isTrue && userIds.every((id) => !erased.has(id)) ? first : inFull(records, erased, rerun)
        const number = records[0] ? await readLogNumber(sql, records[0]) : 0
        const batch = withLogNumber(stored.batch, number)
        return { stored, batch, effect: await store(sql, { ...stored, batch }, rerun), erased }
      })
      checkpoint('loader.stored')
      const { stored, batch, effect, erased } = done
      if (stored === first) recall?.commit(effect.inTable, erased)
      else recall?.leave()
      rerun?.rebuild?.note(stored.catalogue, effect.silent)
      if (mayBePending(stored.catalogue, effect)) onCommitted()

      const account = toItemCounts(batch, effect)
      onAccount?.(account, effect)
      count(batch, effect)
      const { partition, offset } = records[0] ?? {}
      const ms = Math.round(performance.now() - startedAt)
      log.info({ partition, offset, records: records.length, ...account, ms }, 'history_stored')
      return [...batch.deadLetters, ...toReports(batch, effect)]
    }
  }
}

/** A batch read without memory. */
function inFull(
  records: readonly ValueRecord<SpotifyResponse>[],
  erased: ReadonlySet<string>,
  rerun: Rerun | undefined,
): ToStore {
  return overRecords(() => {
    const batch = toHistory(records, { reader: plainReader(rerun?.sureTime), erased })
    return { batch, catalogue: batch.seen.toCatalogue() }
  })
}

/** Whether the commit may have left artists or tracks without metadata, or gaps without an event. */
function mayBePending(catalogue: Catalogue, effect: HistoryEffect): boolean {
  return catalogue.artists.length + catalogue.tracks.length + effect.gaps.due + effect.gaps.closed > 0
}

/**
 * Every transaction of this service locks tables in one order, and each statement locks rows in the order of their
 * keys, which prevents deadlocks: erased_users, log_incarnations, shown_windows, shown_items, gaps, albums,
 * artists, tracks, track_artists, track_popularity, artist_popularity, artist_followers, audio_features, plays,
 * rejected_items.
 */
async function store(
  sql: Sql,
  { batch, catalogue }: ToStore,
  rerun: Rerun | undefined,
): Promise<StoredEffect> {
  const { pages } = batch
  const shown = pages.flatMap(({ page, window }) => (window ? { page, window } : []))
  const gaps = await recordWindows(sql, shown, rerun !== undefined)
  const {
    rows: catalogueRows,
    inTable,
    silent,
  } = await writeCatalogue(sql, catalogue, rerun ? 'repair' : 'newer')
  // Before the plays are inserted: another page of the batch may claim one that is removed.
  const removal = rerun?.verdicts ? await removeUnclaimed(sql, pages, rerun.verdicts) : nothingRemoved
  const stored = await insertPlays(sql, batch.plays)
  const playsRepaired = rerun ? await repairPlays(sql, batch.plays) : 0
  if (rerun) await forgetRejected(sql, batch.healed)
  const reporters = await rememberRejected(
    sql,
    batch.rejected.flatMap((item) => {
      const page = pages[item.page]?.page
      if (!page) return []
      const { partition, offset, incarnation } = page
      return { ...item, partition, offset, incarnation }
    }),
  )
  return {
    ...{
      stored,
      playsRepaired,
      removed: removal.removed,
      kept: removal.kept,
      reporters,
      gaps,
      catalogueRows,
      inTable,
      silent,
    },
    unjudged: countSilent(silent) + removal.unjudged,
  }
}

/** Counts the facts that no version states. */
export function countSilent({ albums, tracks }: Silent): number {
  return [...albums, ...tracks].reduce((sum, { bits }) => sum + countBits(bits), 0)
}

function count(batch: HistoryBatch, effect: HistoryEffect): void {
  const { stored, duplicates, dropped, rejected } = toItemCounts(batch, effect)
  metrics.plays.inc({ result: 'stored' }, stored)
  metrics.plays.inc({ result: 'duplicate' }, duplicates)
  metrics.plays.inc({ result: 'dropped' }, dropped)
  metrics.plays.inc({ result: 'rejected' }, rejected)
  metrics.gaps.inc(effect.gaps.due)
  const now = Date.now()
  for (const page of effect.stored) {
    const fetchedAt = batch.pages.find(
      ({ page: p }) => p.offset === page.offset && p.partition === page.partition,
    )?.page.fetchedAt
    if (fetchedAt !== undefined) metrics.playLatency.observe(Math.max(0, now - fetchedAt) / 1_000)
  }
}
