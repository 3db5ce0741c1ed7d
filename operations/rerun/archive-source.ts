import { sameLog } from '../../lib/archive/key.ts'
import type { AvroSchema } from '../../lib/topology.ts'
import type { Archive, Broker } from '../operator.ts'
import type { ArchiveObject } from './archive-objects.ts'
import { chooseFromArchive, toStretches } from './archive-plan.ts'
import type { Row } from './archive-rows.ts'
import { DamagedObjectError, readPortions, toRecord } from './archive-rows.ts'
import type { Stretch } from './journal.ts'
import { isWholeLog, missingAfter } from './missing.ts'
import type { Reading, Source } from './run.ts'
import type { Tally } from './tally.ts'
import { addMissing, emptyTally } from './tally.ts'

interface ArchiveSourceOptions {
  archive: Archive
  broker: Broker
  /** In the order of places. */
  objects: readonly ArchiveObject[]
  /** Makes the bytes of a row's value; absent if the sinks do not need them. */
  toBytes?: ((row: Row, schema: AvroSchema) => Promise<Buffer | null>) | undefined
  /** Counts damaged objects and missing offsets. */
  tally: Tally
}

/** Reads records from the objects of the archive, several partitions concurrently. */
export function archiveSource(options: ArchiveSourceOptions): Source {
  return {
    async read(stretches, reading) {
      const byPartition = Map.groupBy(stretches, (s) => s.partition)
      const partitions = [...byPartition.values()].map(async (logs) => {
        for (const stretch of logs) await readLog(options, stretch, reading)
      })
      // Wait for all, also after a failure: then the caller may close their sinks.
      const failed = (await Promise.allSettled(partitions)).find((p) => p.status === 'rejected')
      if (failed) throw failed.reason
    },
  }
}

async function readLog(options: ArchiveSourceOptions, stretch: Stretch, reading: Reading): Promise<void> {
  const { damaged } = options.tally
  for (const object of options.objects.filter((o) => sameLog(o, stretch))) {
    if (reading.signal.aborted) return
    if (object.lastOffset < stretch.next) continue
    try {
      await readObject(options, { ...reading, stretch, object })
    } catch (error) {
      if (!(error instanceof DamagedObjectError)) throw error
      const isKnown = damaged.some((d) => d.key === object.path)
      if (!isKnown) damaged.push({ key: object.path, reason: error.message })
    }
  }
}

async function readObject(
  { archive, broker, toBytes, tally }: ArchiveSourceOptions,
  reading: Reading & { stretch: Stretch; object: ArchiveObject },
): Promise<void> {
  const { stretch, object, pace, signal, wanted, take } = reading
  let lastRow = -1
  for await (const { rows, schema } of readPortions(archive.s3, object, pace.portion)) {
    const due = rows.filter((row) => row.offset >= stretch.next && row.offset < stretch.to)
    const last = due.at(-1)
    lastRow = rows.at(-1)?.offset ?? lastRow
    if (signal.aborted) return
    if (!last) continue
    await pace.wait(due.length)
    const records = due.filter(wanted).map(async (row) => {
      const record = await toRecord(row, broker.codec, object)
      return toBytes ? { ...record, bytes: await toBytes(row, schema) } : record
    })
    await take({ stretch, records: await Promise.all(records), read: due.length, through: last.offset })
  }
  if (!isWholeLog(broker, object.topic)) return
  const missing = await missingAfter(archive.s3, object, lastRow)
  if (missing) addMissing(tally, [missing])
}

/** A clock that is behind may date a page before the plays that it shows. */
const clockMs = 30 * 86_400_000

/**
 * All archived pages that may show plays from a time on.
 *
 * @param since the earliest time of the plays, in Unix ms
 */
export async function* pagesInArchive(
  { archive, broker }: Pick<ArchiveSourceOptions, 'archive' | 'broker'>,
  since: number,
): AsyncGenerator<{ source: Source; stretches: Stretch[] }> {
  const objects = await chooseFromArchive(archive, {
    topics: [broker.topology.recentlyPlayed.name],
    from: { type: 'time', at: since - clockMs },
    ...{ to: null, partitions: null, user: null },
  })
  const source = archiveSource({ archive, broker, objects, tally: emptyTally() })
  yield { source, stretches: toStretches(objects) }
}
