import { handlerSink } from '../../lib/kafka/handler-sink.ts'
import type { OpenSink } from '../../lib/kafka/sink.ts'
import type { Logger } from '../../lib/log.ts'
import type { Postgres, Sql } from '../../lib/postgres.ts'
import type { SpotifyResponse, Topology } from '../../lib/topology.ts'
import type { Rerun } from '../../services/loader/history.ts'
import { countSilent, historyHandler } from '../../services/loader/history.ts'
import { Memory } from '../../services/loader/memory.ts'
import { metadataHandler } from '../../services/loader/metadata.ts'
import type { Rebuild } from '../../services/loader/rebuild.ts'
import type { Tally } from './tally.ts'
import { addRemoved } from './tally.ts'

/** Most records of a transaction; as many as the loader takes. */
export const loaderPortion = 100

/** Sinks with the handler of one of the loader's groups, which counts what it does in `tally`. */
export function loaderSinks(of: {
  group: string
  topology: Topology
  sql: Postgres
  log: Logger
  tally: Tally
  rerun: Rerun
}): OpenSink<SpotifyResponse> {
  const { group, topology, sql, log, tally, rerun } = of
  // The rows say what is left to publish after a commit: the loader's outbox finds it at its next sweep.
  const parts = { postgres: sql, memory: new Memory(), onCommitted: () => undefined, log }
  const handler =
    group === topology.groups.loaderHistory
      ? historyHandler({
          ...parts,
          rerun,
          onAccount(account, effect) {
            tally.items += account.items
            tally.stored += account.stored
            tally.changed += account.repaired
            tally.alreadyThere += account.duplicates - account.repaired
            tally.dropped += account.dropped
            tally.rejected += account.rejected
            tally.gaps += account.gaps
            addRemoved(tally, effect.removed)
            tally.kept += effect.kept
            tally.unjudged += effect.unjudged
            tally.catalogueRows += effect.catalogueRows
          },
        })
      : metadataHandler({
          ...parts,
          rerun: true,
          onAccount(counts, effect) {
            tally.found += counts.found
            tally.notFound += counts.notFound
            tally.unjudged += countSilent(effect.silent)
            tally.catalogueRows += effect.rows
          },
        })
  return (_topic, _partition, signal) => handlerSink({ group, handler, log, signal })
}

/** The time of Postgres, in Unix ms. It decides on plays that are ahead of the clock that fetched their page. */
export async function readSureTime(sql: Sql): Promise<number> {
  const { rows } = await sql.query<{ now: Date }>('select now()')
  return rows[0]?.now.getTime() ?? 0
}

/** Sets facts that no page has stated to null, once all pages were read. */
export async function finishRebuild(sql: Postgres, rebuild: Rebuild, tally: Tally): Promise<void> {
  const { judged, rows } = await sql.transaction((sql) => rebuild.finish(sql))
  tally.unjudged = Math.max(0, tally.unjudged - judged)
  tally.catalogueRows += rows
}
