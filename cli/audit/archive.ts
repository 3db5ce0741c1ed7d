import { objectKey } from '../../lib/archive/key.ts'
import { listPartition } from '../../lib/archive/list.ts'
import type { ObjectSummary } from '../../lib/archive/summary.ts'
import { parseSummary } from '../../lib/archive/summary.ts'
import type { OffsetRange } from '../../lib/kafka/read-range.ts'
import type { S3 } from '../../lib/s3.ts'

/** How much of a range of offsets is in the archive. */
export interface Coverage {
  archived: number
  /** Behind the last object: its object is still open. */
  waiting: number
  faults: string[]
}

/** A range of a partition, and what is known of it. */
export interface CoveredRange extends OffsetRange {
  /** Offsets of a compacted topic have holes by themselves. */
  isCompacted: boolean
  /** What the archiver will read next: all before it must be in objects; null: it never committed. */
  committed: number | null
}

/**
 * Compares a range of a partition with the objects that cover it. What the archiver committed and no object has
 * is lost, be it in the middle or at the end.
 *
 * @param objects by first offset
 */
export function toCoverage(objects: readonly ObjectSummary[], range: CoveredRange): Coverage {
  const faults: string[] = []
  const { partition, from, to, isCompacted, committed } = range
  let next = from
  let archived = 0
  for (const { firstOffset, lastOffset, recordCount, erasedCount = 0 } of objects) {
    if (lastOffset < from || firstOffset >= to) continue
    if (firstOffset < next && next > from) faults.push(`${partition}/${firstOffset}: is in two objects`)
    if (firstOffset > next && !isCompacted)
      faults.push(`${partition}/${next}: is in no object, up to ${firstOffset - 1}`)
    if (!isCompacted && recordCount + erasedCount !== lastOffset - firstOffset + 1) {
      faults.push(`${partition}/${firstOffset}: its object holds ${recordCount} records up to ${lastOffset}`)
    }
    archived += Math.max(0, Math.min(lastOffset + 1, to) - Math.max(firstOffset, next))
    next = Math.max(next, lastOffset + 1)
  }
  const due = Math.min(committed ?? from, to)
  if (next < due) faults.push(`${partition}/${next}: is in no object, up to ${due - 1}`)
  return { archived, waiting: Math.max(0, to - Math.max(next, due)), faults }
}

/** What the archive holds of a range. */
export async function readCoverage(
  archive: { s3: S3; prefix: string },
  topic: string,
  range: CoveredRange,
): Promise<Coverage> {
  const keys = await listPartition({ ...archive, topic, partition: range.partition })
  const objects: ObjectSummary[] = []
  const faults: string[] = []
  for (const [i, key] of keys.entries()) {
    // It ends before the next one begins.
    const following = keys[i + 1]
    if (key.firstOffset >= range.to || (following && following.firstOffset <= range.from)) continue
    const path = objectKey(archive.prefix, key)
    const summary = parseSummary((await archive.s3.head(path))?.metadata ?? {})
    if (summary) objects.push(summary)
    else faults.push(`${range.partition}/${key.firstOffset}: its object does not say what it holds (${path})`)
  }
  const coverage = toCoverage(objects, range)
  return { ...coverage, faults: [...faults, ...coverage.faults] }
}
