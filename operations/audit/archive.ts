import { incarnationOf, presentObjects } from '../../lib/archive/incarnations.ts'
import { objectKey } from '../../lib/archive/key.ts'
import { listPartition } from '../../lib/archive/list.ts'
import type { ObjectSummary } from '../../lib/archive/summary.ts'
import { parseSummary } from '../../lib/archive/summary.ts'
import type { OffsetRange } from '../../lib/kafka/read-range.ts'
import type { Archive } from '../operator.ts'
import type { Coverage } from './report.ts'

/** A range of a partition, and what the broker says about it. */
export interface CoveredRange extends OffsetRange {
  /** Compaction leaves holes between offsets. */
  isCompacted: boolean
  /** The archiver's committed offset: all before it must be in objects. Null if it never committed. */
  committed: number | null
}

/** An object, and the offset at which a later log of the partition begins. */
export interface CoveringObject extends ObjectSummary {
  /** Its rows from this offset on count for the later log; absent if there is no later log. */
  cutAt?: number
}

/**
 * Compares a range of a partition with the objects that cover it. Offsets that the archiver committed and no object
 * holds are lost, in the middle or at the end.
 *
 * @param objects in the order of their first offsets
 */
export function toCoverage(objects: readonly CoveringObject[], range: CoveredRange): Coverage {
  const faults: string[] = []
  const { partition, from, to, isCompacted, committed } = range
  let next = from
  let archived = 0
  for (const { firstOffset, lastOffset, recordCount, erasedCount = 0, cutAt } of objects) {
    const end = Math.min(lastOffset + 1, cutAt ?? lastOffset + 1)
    if (end <= from || firstOffset >= to) continue
    if (firstOffset < next && next > from) faults.push(`${partition}/${firstOffset}: is in two objects`)
    if (firstOffset > next && !isCompacted)
      faults.push(`${partition}/${next}: is in no object, up to ${firstOffset - 1}`)
    if (!isCompacted && recordCount + erasedCount !== lastOffset - firstOffset + 1) {
      faults.push(`${partition}/${firstOffset}: its object holds ${recordCount} records up to ${lastOffset}`)
    }
    archived += Math.max(0, Math.min(end, to) - Math.max(firstOffset, next))
    next = Math.max(next, end)
  }
  const due = Math.min(committed ?? from, to)
  if (next < due) faults.push(`${partition}/${next}: is in no object, up to ${due - 1}`)
  return { archived, waiting: Math.max(0, to - Math.max(next, due)), faults }
}

/** How much of a range of the present log the archive holds. Objects of earlier logs count up to where it begins. */
export async function readCoverage(
  archive: Archive,
  topic: string,
  { onObject, ...range }: CoveredRange & { onObject: () => void },
): Promise<Coverage> {
  const all = await listPartition({ ...archive, topic, partition: range.partition })
  const keys = presentObjects(all, range.from)
  const objects: CoveringObject[] = []
  const faults: string[] = []
  for (const [i, key] of keys.entries()) {
    // An object ends before the next one begins.
    const following = keys[i + 1]
    if (key.firstOffset >= range.to || (following && following.firstOffset <= range.from)) continue
    const path = objectKey(archive.prefix, key)
    const summary = parseSummary((await archive.s3.head(path))?.metadata ?? {})
    onObject()
    const isCut = following && incarnationOf(following) > incarnationOf(key)
    if (summary) objects.push({ ...summary, ...(isCut && { cutAt: following.firstOffset }) })
    else faults.push(`${range.partition}/${key.firstOffset}: its object does not say what it holds (${path})`)
  }
  const coverage = toCoverage(objects, range)
  return { ...coverage, faults: [...faults, ...coverage.faults] }
}
