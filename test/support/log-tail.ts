import { readdirSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

/** Offset of a batch's length, and of the end of that field: https://kafka.apache.org/documentation/#recordbatch */
const lengthAt = 8
const headBytes = 12

/**
 * Removes the last batches from the log of a partition, as a power cut before their sync to disk does. The broker
 * must not run.
 *
 * @param folder of the partition in the broker's log directory
 * @returns how many were removed; fewer than `batches` if the log has fewer
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
    // The rest of a preallocated segment is empty.
    if (log.readInt32BE(at + lengthAt) <= 0) break
    starts.push(at)
  }
  const keep = Math.max(0, starts.length - batches)
  const end = starts[keep]
  if (end !== undefined) truncateSync(file, end)
  return starts.length - keep
}
