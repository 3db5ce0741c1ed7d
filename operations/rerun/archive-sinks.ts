import { tmpdir } from 'node:os'
import { honoursConditions } from '../../lib/archive/conditional-puts.ts'
import type { Logger } from '../../lib/log.ts'
import type { Topic } from '../../lib/topology.ts'
import { RowFormats } from '../../services/archiver/row-format.ts'
import { ArchiveSink } from '../../services/archiver/sink.ts'
import type { ArchiveStore } from '../../services/archiver/store.ts'
import { openStore } from '../../services/archiver/store.ts'
import { OperatorFault } from '../fault.ts'
import type { Archive } from '../operator.ts'
import type { Sinks } from './run.ts'
import type { Tally } from './tally.ts'

const objectBytes = 64 << 20
/** By the clock below, which only `ripen` moves. */
const objectAgeMs = 1

/** The archiver's sinks: records that no object holds become objects; existing objects stay unchanged. */
export async function archiveSinks(
  { s3, prefix }: Archive,
  of: { topics: readonly Topic[]; tally: Tally; log: Logger },
): Promise<Omit<Required<Sinks>, 'onDeadLetters'>> {
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
  // The clock stands still while records come: an object closes when it is full, or where an existing one begins.
  let time = 0
  const now = () => time
  const limits = { objectBytes, objectAgeMs, spoolDir: tmpdir() }
  return {
    openSink: (topic, partition) =>
      new ArchiveSink({ ...limits, topic, partition, store: counting, formats, now, log: of.log }),
    ripen() {
      time += objectAgeMs
    },
  }
}
