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
  /** By place. */
  objects: readonly ArchiveObject[]
  /** Gives a row of a topic its value's bytes, where they are wanted. */
  toBytes?: ((row: Row, schema: AvroSchema) => Promise<Buffer | null>) | undefined
  /** Notes what is damaged or missing. */
  tally: Tally
}

/** Reads records from the objects of the archive, several partitions at once. */
export function archiveSource(options: ArchiveSourceOptions): Source {
  return {
    async read(stretches, reading) {
      const byPartition = Map.groupBy(stretches, (s) => s.partition)
      const partitions = [...byPartition.values()].map(async (logs) => {
        for (const stretch of logs) await readLog(options, stretch, reading)
      })
      // All of them end before their sinks are closed, whichever failed first.
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

/** Clocks that are behind may say of a page that it is older than what it shows. */
const clockMs = 30 * 86_400_000

/**
 * All pages that the archive holds from a time on.
 *
 * @param since of the plays that are looked for, Unix ms
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
