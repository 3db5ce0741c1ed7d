import { handlerSink } from '../../lib/kafka/handler-sink.ts'
import type { OpenSink } from '../../lib/kafka/kafka.ts'
import type { Logger } from '../../lib/log.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { SpotifyResponse, Topology } from '../../lib/topology.ts'
import { historyHandler } from '../../services/loader/history.ts'
import { Memory } from '../../services/loader/memory.ts'
import { metadataHandler } from '../../services/loader/metadata.ts'
import type { Tally } from './tally.ts'

/** Records of one transaction; as many as the loader takes. */
export const loaderPortion = 100

/** Sinks of one of the loader's groups: its own handlers, which count what they do. */
export function loaderSinks(of: {
  group: string
  topology: Topology
  sql: Postgres
  log: Logger
  tally: Tally
}): OpenSink<SpotifyResponse> {
  const { group, topology, sql, log, tally } = of
  // What the commit leaves to be published is said by the rows: the loader's outbox finds it at its next sweep.
  const parts = { postgres: sql, memory: new Memory(), onCommitted: () => undefined, log, rerun: true }
  const handler =
    group === topology.groups.loaderHistory
      ? historyHandler({
          ...parts,
          onAccount(account, catalogueRows) {
            tally.items += account.items
            tally.stored += account.stored
            tally.changed += account.repaired
            tally.alreadyThere += account.duplicates - account.repaired
            tally.dropped += account.dropped
            tally.rejected += account.rejected
            tally.gaps += account.gaps
            tally.catalogueRows += catalogueRows
          },
        })
      : metadataHandler({
          ...parts,
          onAccount(counts, catalogueRows) {
            tally.found += counts.found
            tally.notFound += counts.notFound
            tally.catalogueRows += catalogueRows
          },
        })
  return (_topic, _partition, signal) => handlerSink({ group, handler, log, signal })
}
