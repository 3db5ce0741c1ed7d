import type { ValueRecord } from '../../lib/kafka/record.ts'
import type { DeadLetter, Handler } from '../../lib/kafka/sink.ts'
import type { Logger } from '../../lib/log.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { writeCatalogue } from './catalogue-store.ts'
import type { EntityBatch } from './entities.ts'
import { toEntities } from './entities.ts'
import type { Written } from './written.ts'

/** The handler of group `loader.metadata`: one transaction a batch; running it again changes nothing. */
export function metadataHandler(options: {
  postgres: Postgres
  written: Written
  /** Called after a commit: artists of a track that was looked up may lack metadata themselves. */
  onCommitted: () => void
  log: Logger
  /** The records were loaded before, by a parser that may have been wrong; as with the history. */
  rerun?: boolean
  /** Called after each commit. */
  onAccount?: (counts: EntityBatch['counts'], catalogueRows: number) => void
}): Handler<SpotifyResponse> {
  const { postgres, written, onCommitted, onAccount, rerun = false, log } = options
  return (records) => {
    const batch = toEntities(records)
    return () => store(records, batch)
  }

  async function store(
    records: readonly ValueRecord<SpotifyResponse>[],
    batch: EntityBatch,
  ): Promise<DeadLetter[]> {
    const startedAt = Date.now()
    const catalogue = rerun ? batch.catalogue : written.unwritten(batch.catalogue)
    const mode = rerun ? 'repair' : 'newer'
    const catalogueRows = await postgres.transaction((sql) => writeCatalogue(sql, catalogue, mode))
    if (!rerun) written.remember(catalogue)
    onCommitted()
    onAccount?.(batch.counts, catalogueRows)

    const { partition, offset } = records[0] ?? {}
    const fields = { partition, offset, records: records.length, ...batch.counts }
    const deadLetters = batch.deadLetters.length
    log.info({ ...fields, deadLetters, ms: Date.now() - startedAt }, 'metadata_stored')
    return [...batch.deadLetters]
  }
}
