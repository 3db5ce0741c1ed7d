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
 * the numbers of the day. It saves work and decides nothing: without it, every page is read in full and every row is
 * sent.
 *
 * It must not outlive what it says. So a batch asks ({@link open}) and only its receipt after the commit changes
 * anything; what is too old does not count ({@link Freshness}); and all of it is dropped when a transaction fails, a
 * connection is lost, or the server is another one.
 */
export class Memory implements Resource {
  readonly #freshness = new Freshness()
  readonly #rows = new CommittedRows(this.#freshness)
  readonly #pages = new ShownPages(this.#freshness)
  readonly #tracks = new KnownTracks()
  readonly #openings = new Openings()
  readonly #timer = setInterval(() => this.#pages.purge(), purgeEveryMs).unref()
  /** Undefined until a transaction has asked; null if this login may not ask. */
  #server: string | null | undefined
  /** Grows with each time that all was dropped. */
  #age = 0

  /** What one batch may go by. */
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
   * Runs a transaction whose first statement asks what makes the memory untrue: which server it is at, and who was
   * erased.
   *
   * @param userIds users of whom the transaction is about to store something
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

  /** Nothing that is remembered is sure any more. Receipts of batches that are under way come too late. */
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

/** What one batch may go by. Asking changes nothing. */
export interface BatchMemory {
  reader: PageReader
  /** The rows that the database may not hold yet. */
  unwritten(seen: Sightings): Catalogue
  /** Whether what the batch went by has not been dropped since. */
  isTrue(): boolean
  /** The batch stores something else than {@link unwritten} said. */
  leave(): void
  /**
   * The receipt: the transaction is committed.
   *
   * @param inTable the versions that it has put into the tables
   * @param erased users of whom it has stored nothing
   */
  commit(inTable: InTable, erased: ReadonlySet<string>): void
}
