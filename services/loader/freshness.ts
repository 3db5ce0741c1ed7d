/**
 * How long something that is remembered of the database counts. Rows may be taken away by hand, or another process
 * may write a newer one: what is older than this is read, or sent, again.
 */
const maxAgeMs = 15 * 60_000
/** The same where the server cannot be told from another one: it may have failed over to a stale standby. */
const maxAgeBlindMs = 60_000

/**
 * The one policy for all that the loader remembers of the database. It also drops all of it when a transaction fails,
 * a connection is lost or the server is another one: see {@link Memory}.
 */
export class Freshness {
  /** Whether nobody can tell which server the database is on. */
  isBlind = false

  /** @param since when it was known to be true, by `performance.now()`, which no clock moves */
  isFresh(since: number, now = performance.now()): boolean {
    return now - since < (this.isBlind ? maxAgeBlindMs : maxAgeMs)
  }
}
