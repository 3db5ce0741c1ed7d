import { tmpdir } from 'node:os'
import type { CliContext } from '../../cli/command.ts'
import { honoursConditions } from '../../lib/archive/conditional-puts.ts'
import type { OpenSink } from '../../lib/kafka/sink.ts'
import type { SpotifyResponse, Topic } from '../../lib/topology.ts'
import { RowFormats } from '../../services/archiver/row-format.ts'
import { ArchiveSink } from '../../services/archiver/sink.ts'
import type { ArchiveStore } from '../../services/archiver/store.ts'
import { openStore } from '../../services/archiver/store.ts'
import { OperatorFault } from '../fault.ts'
import type { Tally } from '../rerun/tally.ts'

const objectBytes = 64 << 20
/** By the clock below, which {@link ArchiveSinks.ripen} alone moves. */
const objectAgeMs = 1

/** Sinks of the archiver: records that no object holds become objects, all others stay as they are. */
export interface ArchiveSinks {
  open: OpenSink<SpotifyResponse>
  /** Says that no record follows: objects that are open now are put at the next tick. */
  ripen(): void
}

export async function archiveSinks(
  context: CliContext,
  of: { topics: readonly Topic[]; tally: Tally },
): Promise<ArchiveSinks> {
  const { s3, prefix } = await context.operator.archive()
  if (!(await honoursConditions(s3, prefix))) {
    const hint = 'Update the object store, or use another one; songswap doctor --only s3 tries it.'
    throw new OperatorFault('The object store ignores If-None-Match: objects could be overwritten', hint)
  }
  const store = openStore(s3, prefix)
  const counting: ArchiveStore = {
    ...store,
    async put(key, object) {
      const result = await store.put(key, object)
      if (result === 'put') {
        of.tally.objectsPut++
        of.tally.recordsPut += object.summary.recordCount
      }
      return result
    },
  }
  const formats = new RowFormats(of.topics)
  // A clock that stands still while records come: objects close by their size, or where others begin.
  let time = 0
  const now = () => time
  const limits = { objectBytes, objectAgeMs, spoolDir: tmpdir() }
  return {
    open: (topic, partition) =>
      new ArchiveSink({ ...limits, topic, partition, store: counting, formats, now, log: context.log }),
    ripen() {
      time += objectAgeMs
    },
  }
}
