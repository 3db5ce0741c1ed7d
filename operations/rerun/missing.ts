import type { MissingOffsets } from '../../lib/archive/chain.ts'
import { missingOffsets } from '../../lib/archive/chain.ts'
import { readArchive } from '../../lib/archive/read.ts'
import { parseSummary } from '../../lib/archive/summary.ts'
import type { S3 } from '../../lib/s3.ts'
import type { Broker } from '../operator.ts'
import type { ArchiveObject } from './archive-objects.ts'
import type { ArchiveChoice } from './archive-plan.ts'
import { resolveTopic } from './archive-plan.ts'

/**
 * Offsets between an object's last row and the next object that are in neither: the listing left an object out, or the
 * archive has a hole. Rows of erased users do not count as missing: the object says how far it reaches.
 */
export async function missingAfter(
  s3: S3,
  object: ArchiveObject,
  lastRow: number,
): Promise<MissingOffsets | null> {
  const { topic, partition, incarnation, path, lastOffset: to } = object
  if (lastRow >= to) return null
  const { body, metadata } = await s3.read(path)
  const known = parseSummary(metadata) ?? (await readArchive(body)).summary
  body.destroy()
  const last = known?.lastOffset ?? lastRow
  if (last >= to) return null
  return { topic, partition, ...(incarnation && { incarnation }), from: last + 1, to }
}

/**
 * Offsets at the end of partitions that the archiver has committed and no listed object holds. It returns none if the
 * choice ends earlier.
 *
 * @param objects the chosen ones
 */
export async function missingAtEnd(
  { admin, topology }: Broker,
  choice: ArchiveChoice,
  objects: readonly ArchiveObject[],
): Promise<MissingOffsets[]> {
  if (choice.to !== null) return []
  const committed = await admin.readCommitted(topology.groups.archiver)
  return choice.topics.flatMap((topic) => {
    const own = objects.filter((o) => o.topic === topic)
    const isChosen = (partition: number) =>
      (choice.partitions?.includes(partition) ?? true) &&
      (choice.from === null || own.some((o) => o.partition === partition))
    const ends = committed.filter((c) => c.topic === topic && isChosen(c.partition))
    const ahead = new Map(ends.map((c) => [c.partition, c.offset]))
    const missing = missingOffsets(own, topic, ahead)
    // Holes between objects show only when the objects are read.
    return missing.filter(({ partition, to }) => to + 1 === ahead.get(partition))
  })
}

/** Whether a hole between offsets means a loss; compaction leaves holes too. */
export function isWholeLog({ topology }: Broker, topic: string): boolean {
  return !resolveTopic(topic, topology).cleanup.includes('compact')
}
