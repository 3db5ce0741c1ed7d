import pLimit from 'p-limit'
import type { S3 } from '../s3.ts'
import type { ArchiveKey } from './key.ts'
import { byPlace, objectKey, parseDateFolder, parseObjectKey, partitionPrefix, topicPrefix } from './key.ts'

export interface PartitionOfArchive {
  s3: S3
  prefix: string
  topic: string
  partition: number
}

/** Bounds the requests under way at a time, over all listings of the process. */
const limit = pLimit(16)

/**
 * The objects of one partition, by incarnation and first offset. Lists all dates, because dates come from producers'
 * clocks and need not rise with the offsets. Costs one request per date of the topic, and per 1,000 objects.
 */
export async function listPartition(of: PartitionOfArchive): Promise<ArchiveKey[]> {
  const dates: string[] = []
  for await (const folder of of.s3.folders(topicPrefix(of.prefix, of.topic))) {
    const date = parseDateFolder(folder)
    if (date) dates.push(date)
  }
  const perDate = await Promise.all(dates.map((date) => limit(() => listDate(of, date))))
  return perDate.flat().sort(byPlace)
}

async function listDate(of: PartitionOfArchive, date: string): Promise<ArchiveKey[]> {
  const { topic, partition } = of
  const found: ArchiveKey[] = []
  for await (const key of of.s3.list(partitionPrefix(of.prefix, { topic, partition, date }))) {
    const parsed = parseObjectKey(key)
    // A foreign file in the folder, or an object under another prefix, does not count.
    if (parsed && key === objectKey(of.prefix, { ...parsed, topic, partition, date })) found.push(parsed)
  }
  return found
}
