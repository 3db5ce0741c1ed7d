import type { Postgres, Sql } from '../../lib/postgres.ts'
import type { Resource } from '../../lib/scope.ts'
import type { Catalogue } from './catalogue.ts'
import type { InTable } from './catalogue-store.ts'
import { BatchRows, CommittedRows } from './committed-rows.ts'
import { FastReader } from './fast-reader.ts'
import { Freshness } from './freshness.ts'
import { KnownTracks } from './known-tracks.ts'
import { Openings } from './opening.ts'
import type { PageReader } from './page-reader.ts'
import { ShownPages } from './shown-pages.ts'
import type { Sightings } from './sightings.ts'

const purgeEveryMs = 60_000

/**
 * All that a loader remembers of the database: the pages whose plays are stored, and the rows of the catalogue with
 * the numbers of the day. It only saves work: without it, every page is read in full and every row is sent.
 *
 * It must never claim what the database does not hold. A batch reads it ({@link open}) and adds to it only after its
 * commit; what is too old does not count ({@link Freshness}); and everything is dropped when a transaction fails, a
 * connection is lost, or the server changes.
 */
export class Memory implements Resource {
  readonly #freshness = new Freshness()
  readonly #rows = new CommittedRows(this.#freshness)
  readonly #pages = new ShownPages(this.#freshness)
  readonly #tracks = new KnownTracks()
  readonly #openings = new Openings()
  readonly #timer = setInterval(() => this.#pages.purge(), purgeEveryMs).unref()
  /** The server of the last transaction; undefined before the first one, or null if this login may not ask. */
  #server: string | null | undefined
  /** Grows with each {@link drop}. */
  #age = 0

  /** The memory as one batch uses it. */
  open(): BatchMemory {
    const age = this.#age
    const reader = new FastReader({ tracks: this.#tracks, stored: (userId) => this.#pages.get(userId) })
    const rows = new BatchRows(this.#rows)
    return {
      reader,
      unwritten: (seen) => rows.unwritten(seen),
      isTrue: () => age === this.#age,
      leave: () => {
        if (age === this.#age) rows.leave()
      },
      commit: (inTable, erased) => {
        if (age !== this.#age) return
        rows.commit(inTable)
        for (const [userId, page] of reader.shown) if (!erased.has(userId)) this.#pages.keep(userId, page)
      },
    }
  }

  /**
   * Runs a transaction. Its first statement asks what invalidates the memory: which server it is on, and which users
   * were erased.
   *
   * @param userIds users whose data the transaction stores
   */
  async transaction<T>(
    postgres: Postgres,
    userIds: readonly string[],
    work: (sql: Sql, erased: ReadonlySet<string>) => Promise<T>,
  ): Promise<T> {
    try {
      await this.#openings.prepare(postgres)
      return await postgres.transaction(async (sql) => {
        const { server, erased } = await this.#openings.ask(sql, userIds)
        this.#meet(server)
        for (const userId of erased) this.#pages.forget(userId)
        return work(sql, erased)
      })
    } catch (error) {
      this.#openings.forget()
      this.drop()
      throw error
    }
  }

  /** Forgets everything. Batches under way can no longer add to it. */
  drop(): void {
    this.#age++
    this.#rows.forget()
    this.#pages.forgetAll()
  }

  #meet(server: string | null): void {
    if (server === this.#server) return
    this.#freshness.isBlind = server === null
    if (this.#server !== undefined) this.drop()
    this.#server = server
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.drop()
  }
}

/** The memory as one batch uses it. The batch ends with {@link commit} or {@link leave}, or drops the memory. */
export interface BatchMemory {
  reader: PageReader
  /** The rows that the database may not hold yet. */
  unwritten(seen: Sightings): Catalogue
  /** Whether the memory has not been dropped since the batch began. */
  isTrue(): boolean
  /** The batch has stored something other than {@link unwritten} returned. */
  leave(): void
  /**
   * The transaction is committed.
   *
   * @param inTable the versions that it has written to the tables
   * @param erased users of whom it has stored nothing
   */
  commit(inTable: InTable, erased: ReadonlySet<string>): void
}
