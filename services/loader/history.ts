import { checkpoint } from '../../lib/checkpoint.ts'
import { overRecords } from '../../lib/errors.ts'
import type { Handler } from '../../lib/kafka/sink.ts'
import type { Logger } from '../../lib/log.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Postgres, Sql } from '../../lib/postgres.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { Account, HistoryEffect } from './account.ts'
import { toAccount, toReports } from './account.ts'
import type { Catalogue } from './catalogue.ts'
import { writeCatalogue } from './catalogue-store.ts'
import { insertPlays, readErased, rememberRejected, repairPlays } from './history-store.ts'
import { KnownTracks } from './known-tracks.ts'
import { recordWindows } from './ledger.ts'
import { ShownPages } from './shown-pages.ts'
import type { HistoryBatch } from './transform.ts'
import { toHistory } from './transform.ts'
import type { Written } from './written.ts'

export interface HistoryOptions {
  postgres: Postgres
  written: Written
  /** Called after a commit that may have left something to be published: wanted metadata, gaps. */
  onCommitted: () => void
  log: Logger
  /**
   * The records were loaded before, by a parser that may have been wrong: rows that it wrote are brought to what
   * the parser makes of the same records now, and nobody is told of gaps that are long past.
   */
  rerun?: boolean
  /** Called after each commit. */
  onAccount?: (account: Account, catalogueRows: number) => void
}

/**
 * The handler of group `loader.history`: one transaction a batch, all of it or nothing. Running it again on
 * the same records changes nothing and gives the same dead letters.
 */
export function historyHandler(options: HistoryOptions): Handler<SpotifyResponse> {
  const { written, onCommitted, onAccount, rerun = false, log } = options
  // A rerun does not go by memory: rows may stem from a parser that was wrong.
  const memory = rerun ? null : { written, shown: new ShownPages() }
  const tracks = new KnownTracks()
  return (records) => {
    const before = memory ? { tracks, ...memory } : { tracks }
    const all = toHistory(records, before)
    const withoutErased = (erased: ReadonlySet<string>) => {
      const kept = erased.size > 0 ? toHistory(records, { ...before, erased }) : all
      return memory ? { ...kept, catalogue: memory.written.unwritten(kept.catalogue) } : kept
    }
    return async () => {
      const startedAt = Date.now()
      const { batch, effect } = await options.postgres.transaction(async (sql) => {
        const erased = await readErased(sql, [...new Set(all.pages.map(({ page }) => page.userId))])
        const kept = overRecords(() => withoutErased(erased))
        return { batch: kept, effect: await store(sql, kept, rerun) }
      })
      checkpoint('loader.stored')
      // After the commit only: what was rolled back is not written.
      memory?.written.remember(batch.catalogue)
      for (const [userId, page] of batch.shown) memory?.shown.keep(userId, page)
      if (mayBePending(batch.catalogue, effect)) onCommitted()

      const account = toAccount(batch, effect)
      onAccount?.(account, effect.catalogueRows)
      count(batch, effect)
      const { partition, offset } = records[0] ?? {}
      const ms = Date.now() - startedAt
      log.info({ partition, offset, records: records.length, ...account, ms }, 'history_stored')
      return [...batch.deadLetters, ...toReports(batch, effect)]
    }
  }
}

/** Whether the commit may have left artists or tracks without metadata, or gaps that nobody was told of. */
function mayBePending(catalogue: Catalogue, effect: HistoryEffect): boolean {
  return catalogue.artists.length + catalogue.tracks.length + effect.gaps.due + effect.gaps.closed > 0
}

/** The order of tables is the same as in every other transaction of this service; see {@link writeCatalogue}. */
async function store(sql: Sql, batch: HistoryBatch, rerun: boolean): Promise<HistoryEffect> {
  const { pages } = batch
  const shown = pages.flatMap(({ page, window }) => (window ? { page, window } : []))
  const gaps = await recordWindows(sql, shown, rerun)
  const catalogueRows = await writeCatalogue(sql, batch.catalogue, rerun ? 'repair' : 'newer')
  const stored = await insertPlays(sql, batch.plays)
  const playsRepaired = rerun ? await repairPlays(sql, batch.plays) : 0
  const reporters = await rememberRejected(
    sql,
    batch.rejected.flatMap((item) => {
      const page = pages[item.page]?.page
      return page ? { ...item, partition: page.partition, offset: page.offset } : []
    }),
  )
  return { stored, playsRepaired, reporters, gaps, catalogueRows }
}

function count(batch: HistoryBatch, effect: HistoryEffect): void {
  const { stored, duplicates, dropped, rejected } = toAccount(batch, effect)
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
