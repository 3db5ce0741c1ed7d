/** What is known of an open object at one moment. */
export interface OpenObject {
  /** It has its size, or the disk takes no more. */
  full: boolean
  /** Time since its first row was taken, in milliseconds, by a clock that never goes back. */
  openMs: number
  /** Age of its first record by the record's own timestamp, in milliseconds; a producer's clock may be anything. */
  recordAgeMs: number
  /** More of the partition is known to wait behind its last row. */
  more: boolean
}

/** Least share of the age for which an object is open, while nothing waits and while more waits. */
const leastShare = { idle: 1 / 30, more: 1 / 10 }

/**
 * Whether an open object must be put. The age is that of its first record: a rebalance throws the open object away,
 * and the one that begins again in the next term is as old as before. So rebalances put off only objects whose terms
 * are all shorter than the least time below, which is a thirtieth of the age.
 *
 * | first record | nothing waits                     | more waits                       |
 * |---|---|---|
 * | younger      | when open for the whole age       | the same                         |
 * | older        | when open for 1/30 of the age     | when open for 1/10 of the age    |
 *
 * Being full is always enough. The least times keep objects large where timestamps are old by themselves: in a
 * backlog, where mostly the size decides, and after a restore or with a clock of 1970. A clock of the future makes
 * records younger than they are: then the time for which the object is open decides.
 */
export function isDue({ full, openMs, recordAgeMs, more }: OpenObject, objectAgeMs: number): boolean {
  if (full || openMs >= objectAgeMs) return true
  const leastOpenMs = objectAgeMs * (more ? leastShare.more : leastShare.idle)
  return recordAgeMs >= objectAgeMs && openMs >= leastOpenMs
}
