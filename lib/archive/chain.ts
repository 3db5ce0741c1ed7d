import type { ArchiveKey } from './key.ts'
import { byPlace, sameLog } from './key.ts'

/** Offsets of a partition that no object of the archive holds; both ends included. */
export interface MissingOffsets {
  topic: string
  partition: number
  /** Absent for the partition's first log. */
  incarnation?: number
  from: number
  to: number
}

/** An object and the offsets that it covers, both ends included. */
export type Covered = ArchiveKey & { lastOffset: number }

/**
 * Offsets that are missing from the archive of a topic that is not compacted. Each object begins where the one before
 * it ends, and all that the archiver has committed is in objects: so an object that a listing leaves out shows as a
 * range between two others, or at the end.
 *
 * @param committed by partition, the offset that the archiver reads next
 */
export function missingOffsets(
  objects: readonly Covered[],
  topic: string,
  committed: ReadonlyMap<number, number>,
): MissingOffsets[] {
  const sorted = objects.toSorted(byPlace)
  const between = sorted.flatMap((object, i) => {
    const next = sorted[i + 1]
    const isFollowed = next !== undefined && sameLog(object, next)
    return isFollowed ? rangeOf(object, object.lastOffset + 1, next.firstOffset) : []
  })
  const atEnd = [...committed].flatMap(([partition, next]) => {
    const last = sorted.findLast((object) => object.partition === partition)
    return rangeOf(last ?? { topic, partition }, (last?.lastOffset ?? -1) + 1, next)
  })
  return [...between, ...atEnd]
}

/** @param to exclusive */
function rangeOf(
  { topic, partition, incarnation }: Pick<ArchiveKey, 'topic' | 'partition' | 'incarnation'>,
  from: number,
  to: number,
): MissingOffsets[] {
  if (from >= to) return []
  return [{ topic, partition, ...(incarnation && { incarnation }), from, to: to - 1 }]
}

/** E.g. `topic/0: offsets 10 to 11 of log 2`; the log is named unless it is the first one. */
export function toMissingText({ topic, partition, incarnation, from, to }: MissingOffsets): string {
  const log = incarnation ? ` of log ${incarnation}` : ''
  const offsets = from === to ? `offset ${from}` : `offsets ${from} to ${to}`
  return `${topic}/${partition}: ${offsets}${log}`
}
