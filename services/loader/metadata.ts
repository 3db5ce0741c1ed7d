import type { Handler } from '../../lib/kafka/sink.ts'
import type { Logger } from '../../lib/log.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { writeCatalogue } from './catalogue-store.ts'
import { toEntities } from './entities.ts'
import type { Written } from './written.ts'

/** The handler of group `loader.metadata`: one transaction a batch; running it again changes nothing. */
export function metadataHandler(options: {
  postgres: Postgres
  written: Written
  /** Called after a commit: artists of a track that was looked up may lack metadata themselves. */
  onCommitted: () => void
  log: Logger
}): Handler<SpotifyResponse> {
  const { postgres, written, onCommitted, log } = options
  return async (records) => {
    const startedAt = Date.now()
    const batch = toEntities(records)
    const catalogue = written.unwritten(batch.catalogue)
    await postgres.transaction((sql) => writeCatalogue(sql, catalogue))
    written.remember(catalogue)
    onCommitted()

    const { partition, offset } = records[0] ?? {}
    const fields = { partition, offset, records: records.length, ...batch.counts }
    const deadLetters = batch.deadLetters.length
    log.info({ ...fields, deadLetters, ms: Date.now() - startedAt }, 'metadata_stored')
    return [...batch.deadLetters]
  }
}
