import { readdirSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

/** Bytes before a batch's length, and that length itself: https://kafka.apache.org/documentation/#recordbatch */
const lengthAt = 8
const headBytes = 12

/**
 * Takes the last batches from the log of a partition, as a power cut does that comes before they were synced to disk.
 * The broker must not run.
 *
 * @param folder of the partition in the broker's log directory
 * @returns how many were taken; fewer than asked for where the log has fewer
 */
export function dropTail(folder: string, batches: number): number {
  const segment = readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .at(-1)
  if (segment === undefined) return 0
  const file = join(folder, segment)
  const log = readFileSync(file)
  const starts: number[] = []
  for (let at = 0; at + headBytes <= log.length; at += headBytes + log.readInt32BE(at + lengthAt)) {
    // The rest of a segment that was made in one piece is empty.
    if (log.readInt32BE(at + lengthAt) <= 0) break
    starts.push(at)
  }
  const keep = Math.max(0, starts.length - batches)
  const end = starts[keep]
  if (end !== undefined) truncateSync(file, end)
  return starts.length - keep
}
