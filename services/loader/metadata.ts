import { overRecords } from '../../lib/errors.ts'
import type { DeadLetter } from '../../lib/kafka/dead-letter.ts'
import type { ValueRecord } from '../../lib/kafka/record.ts'
import type { Handler } from '../../lib/kafka/sink.ts'
import type { Logger } from '../../lib/log.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { CatalogueEffect } from './catalogue-store.ts'
import { writeCatalogue } from './catalogue-store.ts'
import type { EntityBatch } from './entities.ts'
import { toEntities } from './entities.ts'
import type { Memory } from './memory.ts'

/** The handler of group `loader.metadata`: one transaction per batch; running it again changes nothing. */
export function metadataHandler(options: {
  postgres: Postgres
  memory: Memory
  /** Called after a commit, because artists of a looked-up track may lack metadata. */
  onCommitted: () => void
  log: Logger
  /** The records were loaded before, by a parser that may have been wrong; see {@link Rerun}. */
  rerun?: boolean
  /** Called after each commit. */
  onAccount?: (counts: EntityBatch['counts'], effect: CatalogueEffect) => void
}): Handler<SpotifyResponse> {
  const { postgres, memory, onCommitted, onAccount, rerun = false, log } = options
  return (records) => {
    const batch = toEntities(records)
    return () => store(records, batch)
  }

  async function store(
    records: readonly ValueRecord<SpotifyResponse>[],
    batch: EntityBatch,
  ): Promise<DeadLetter[]> {
    const startedAt = performance.now()
    const recall = memory.open()
    const recalled = rerun ? null : overRecords(() => recall.unwritten(batch.seen))
    const effect = await memory.transaction(postgres, [], (sql) => {
      if (recalled && recall.isTrue()) return writeCatalogue(sql, recalled, 'newer')
      const whole = overRecords(() => batch.seen.toCatalogue())
      return writeCatalogue(sql, whole, rerun ? 'repair' : 'newer')
    })
    if (recalled) recall.commit(effect.inTable, new Set())
    onCommitted()
    onAccount?.(batch.counts, effect)

    const { partition, offset } = records[0] ?? {}
    const fields = { partition, offset, records: records.length, ...batch.counts }
    const deadLetters = batch.deadLetters.length
    log.info({ ...fields, deadLetters, ms: Math.round(performance.now() - startedAt) }, 'metadata_stored')
    return [...batch.deadLetters]
  }
}
