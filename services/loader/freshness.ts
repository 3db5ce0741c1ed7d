/**
 * How long memory of the database counts; older facts are read or sent again. An operator may delete rows by hand,
 * and another process may write newer ones.
 */
const maxAgeMs = 15 * 60_000
/** The same if a change of server cannot be noticed: it may have failed over to a stale standby. */
const maxAgeBlindMs = 60_000

/**
 * The policy for all that the loader remembers of the database. {@link Memory} also drops everything when a
 * transaction fails, a connection is lost or the server changes.
 */
export class Freshness {
  /** The login may not ask which server the database is on. */
  isBlind = false

  /** @param since when it was last known to be true, by `performance.now()` */
  isFresh(since: number, now = performance.now()): boolean {
    return now - since < (this.isBlind ? maxAgeBlindMs : maxAgeMs)
  }
}
