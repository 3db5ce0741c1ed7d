/** The state of an open object at one moment. */
export interface OpenObject {
  /** It has reached its size, or the disk takes no more. */
  full: boolean
  /** Milliseconds since its first row was taken, by a monotonic clock. */
  openMs: number
  /** Milliseconds since the timestamp of its first record, which comes from a producer's clock and may be wrong. */
  recordAgeMs: number
  /** More records of the partition wait behind its last row. */
  more: boolean
}

/** The least time for which an object stays open, as a share of the age, by whether more records wait. */
const leastShare = { idle: 1 / 30, more: 1 / 10 }

/**
 * Whether an open object must be put. Its age is that of its first record, so that an object which a rebalance
 * discards is as old as before when the next term begins it again. Rebalances therefore delay a put only if every
 * term is shorter than the least time below, a thirtieth of the age.
 *
 * | first record | nothing waits                     | more waits                       |
 * |---|---|---|
 * | younger      | when open for the whole age       | the same                         |
 * | older        | when open for 1/30 of the age     | when open for 1/10 of the age    |
 *
 * A full object is always due. The least times keep objects large where all timestamps are old: in a backlog, where
 * mostly the size decides, after a restore, or with a producer's clock in the past. With a clock in the future the
 * time for which the object is open decides.
 */
export function isDue({ full, openMs, recordAgeMs, more }: OpenObject, objectAgeMs: number): boolean {
  if (full || openMs >= objectAgeMs) return true
  const leastOpenMs = objectAgeMs * (more ? leastShare.more : leastShare.idle)
  return recordAgeMs >= objectAgeMs && openMs >= leastOpenMs
}
