import pLimit from 'p-limit'
import type { ArchiveKey } from '../../lib/archive/key.ts'
import { archiveDate, objectKey, parseObjectKey, topicPrefix } from '../../lib/archive/key.ts'
import type { ObjectSummary } from '../../lib/archive/summary.ts'
import { parseSummary } from '../../lib/archive/summary.ts'
import type { S3 } from '../../lib/s3.ts'
import type { Choice } from '../rerun/bounds.ts'
import { toLimits } from '../rerun/bounds.ts'
import { DamagedObjectError, readPortions } from './rows.ts'

/** A bucket and the prefix of the archive in it. */
export interface Archive {
  s3: S3
  prefix: string
}

/** An object of the archive, as its key and its metadata tell. */
export interface ArchiveObject extends ArchiveKey {
  path: string
  /** In bytes. */
  length: number
  summary: ObjectSummary
}

const dayMs = 86_400_000
const headsAtATime = 16
const rowsAtATime = 100

/** All objects of a topic, by partition and first offset. */
export async function listTopic({ s3, prefix }: Archive, topic: string): Promise<ArchiveKey[]> {
  const keys: ArchiveKey[] = []
  for await (const path of s3.list(topicPrefix(prefix, topic))) {
    const key = parseObjectKey(path)
    // A foreign file in the folder is no object.
    if (key && path === objectKey(prefix, key)) keys.push(key)
  }
  return keys.sort((a, b) => a.partition - b.partition || a.firstOffset - b.firstOffset)
}

/**
 * Objects that may hold chosen records. Times are known by the dates of first records alone, so a day is left on
 * both sides: what a producer's clock put further away lies elsewhere.
 *
 * @param keys of one topic, by partition and first offset
 */
export function chooseObjects(keys: readonly ArchiveKey[], choice: Choice): ArchiveKey[] {
  return keys.filter((key, i) => {
    const limits = toLimits(choice, key.partition)
    if (!limits) return false
    const next = keys[i + 1]
    const following = next?.partition === key.partition ? next : null
    const { offsets, times } = limits
    if (key.firstOffset >= offsets.to || (following && following.firstOffset <= offsets.from)) return false
    if (key.date > archiveDate(times.to + dayMs)) return false
    return !following || following.date >= archiveDate(times.from - dayMs)
  })
}

/** Asks for size and metadata of each. Objects that are gone meanwhile have no length and no records. */
export async function describeObjects(
  { s3, prefix }: Archive,
  keys: readonly ArchiveKey[],
): Promise<ArchiveObject[]> {
  const limit = pLimit(headsAtATime)
  return Promise.all(
    keys.map((key) =>
      limit(async () => {
        const path = objectKey(prefix, key)
        const head = await s3.head(path)
        const object = { ...key, path, length: head?.length ?? 0 }
        return { ...object, summary: parseSummary(head?.metadata ?? {}) ?? (await readSummary(s3, object)) }
      }),
    ),
  )
}

/**
 * What the rows say, where a tool that copied the archive has dropped the metadata. Of a damaged object, as far
 * as it can be read.
 */
async function readSummary(s3: S3, object: Omit<ArchiveObject, 'summary'>): Promise<ObjectSummary> {
  const { firstOffset } = object
  let [lastOffset, recordCount] = [firstOffset, 0]
  try {
    for await (const { rows } of readPortions(s3, object, rowsAtATime)) {
      recordCount += rows.length
      lastOffset = rows.at(-1)?.offset ?? lastOffset
    }
  } catch (error) {
    if (!(error instanceof DamagedObjectError)) throw error
  }
  return { firstOffset, lastOffset, recordCount }
}
