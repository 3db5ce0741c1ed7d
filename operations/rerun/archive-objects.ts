import type { ArchiveKey } from '../../lib/archive/key.ts'
import {
  archiveDate,
  byPlace,
  objectKey,
  parseObjectKey,
  sameLog,
  topicPrefix,
} from '../../lib/archive/key.ts'
import { parseSummary } from '../../lib/archive/summary.ts'
import type { S3 } from '../../lib/s3.ts'
import type { Archive } from '../operator.ts'
import { DamagedObjectError, readPortions } from './archive-rows.ts'
import type { Choice } from './bounds.ts'
import { toLimits } from './bounds.ts'

/** An object of the archive and the offsets that it covers, both ends included. */
export interface ArchiveObject extends ArchiveKey {
  path: string
  lastOffset: number
}

const dayMs = 86_400_000
const rowsAtATime = 100

/** All objects of a topic, by partition, incarnation and first offset. */
export async function listTopic({ s3, prefix }: Archive, topic: string): Promise<ArchiveKey[]> {
  const keys: ArchiveKey[] = []
  for await (const path of s3.list(topicPrefix(prefix, topic))) {
    const key = parseObjectKey(path)
    // Other files may lie in the folder.
    if (key && path === objectKey(prefix, key)) keys.push(key)
  }
  return keys.sort(byPlace)
}

/**
 * Objects that may hold chosen records. Only the date of an object's first record is known, so it allows a day on both
 * sides: a record whose timestamp is further off is not found.
 *
 * @param keys of one topic, by partition, incarnation and first offset
 */
export function chooseObjects(keys: readonly ArchiveKey[], choice: Choice): ArchiveKey[] {
  return keys.filter((key, i) => {
    const limits = toLimits(choice, key.partition)
    if (!limits) return false
    const next = keys[i + 1]
    const following = next && sameLog(next, key) ? next : null
    const { offsets, times } = limits
    if (key.firstOffset >= offsets.to || (following && following.firstOffset <= offsets.from)) return false
    if (key.date > archiveDate(times.to + dayMs)) return false
    return !following || following.date >= archiveDate(times.from - dayMs)
  })
}

/**
 * The offsets that chosen objects cover. Each object ends where the next one of its log begins, so only the last of a
 * log is read: an archive of a year has a million objects.
 *
 * @param chosen of `keys`
 * @param keys all of the topic, by partition, incarnation and first offset
 */
export async function coverOffsets(
  { s3, prefix }: Archive,
  chosen: readonly ArchiveKey[],
  keys: readonly ArchiveKey[],
): Promise<ArchiveObject[]> {
  const following = new Map(keys.map((key, i) => [key, keys[i + 1]]))
  const objects: ArchiveObject[] = []
  for (const key of chosen) {
    const object = { ...key, path: objectKey(prefix, key) }
    const next = following.get(key)
    const isFollowed = next && sameLog(next, key)
    objects.push({ ...object, lastOffset: isFollowed ? next.firstOffset - 1 : await readLast(s3, object) })
  }
  return objects
}

/**
 * Offset of an object's last row, or of the last readable one if the object is damaged. It comes from the metadata, or
 * from the rows if a tool that copied the archive dropped the metadata.
 */
async function readLast(s3: S3, object: ArchiveKey & { path: string }): Promise<number> {
  const known = parseSummary((await s3.head(object.path))?.metadata ?? {})
  if (known) return known.lastOffset
  let last = object.firstOffset
  try {
    for await (const { rows } of readPortions(s3, object, rowsAtATime)) last = rows.at(-1)?.offset ?? last
  } catch (error) {
    if (!(error instanceof DamagedObjectError)) throw error
  }
  return last
}
