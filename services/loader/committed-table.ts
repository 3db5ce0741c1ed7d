import { LRUCache } from 'lru-cache'
import type { Freshness } from './freshness.ts'

/** A row that is committed. */
export interface Entry {
  /** The row's content as text. */
  readonly form: string
  /** Newest fetch known to show this form, Unix ms. */
  seenAt: number
  /** Newest fetch that a batch goes by this entry for; the batch may be under way. */
  reliedAt: number
  /** When it was committed, by `performance.now()`. */
  readonly writtenAt: number
  /** Another entry has taken its place, or it had to make room. */
  isGone: boolean
}

/** A row that transactions under way are writing. */
interface Writing {
  open: number
  /** What the table is known to hold when all of them have ended, or null if not known. */
  last: { form: string; seenAt: number } | null
}

/** About 300 bytes each. */
const maxEntries = 30_000

/**
 * What is known of one table. While a transaction that writes a row is under way nothing is known of that row: a
 * version that comes meanwhile is sent too, and the database decides which one wins.
 */
export class CommittedTable<R extends { id: string; fetchedAt: number }> {
  readonly #formOf: (row: R) => string
  readonly #freshness: Freshness
  readonly #entries = new LRUCache<string, Entry>({
    max: maxEntries,
    dispose: (entry) => {
      entry.isGone = true
    },
  })
  #writing = new Map<string, Writing>()

  constructor(formOf: (row: R) => string, freshness: Freshness) {
    this.#formOf = formOf
    this.#freshness = freshness
  }

  isValid({ isGone, writtenAt }: Entry, now = performance.now()): boolean {
    return !isGone && this.#freshness.isFresh(writtenAt, now)
  }

  /** Null if nothing is known of the row. */
  find(id: string): Entry | null {
    const entry = this.#entries.get(id)
    return entry && this.isValid(entry) ? entry : null
  }

  /** Null if the row may not be committed in its present form. */
  findForm(row: R): Entry | null {
    const entry = this.find(row.id)
    return entry && this.hasForm(entry, row) ? entry : null
  }

  hasForm({ form }: Entry, row: R): boolean {
    return form === this.#formOf(row)
  }

  /** A transaction is about to write a row. */
  begin({ id }: R): void {
    const writing = this.#writing.get(id)
    if (writing) {
      writing.open++
      return
    }
    const known = this.find(id)
    this.#entries.delete(id)
    this.#writing.set(id, { open: 1, last: known && { form: known.form, seenAt: known.seenAt } })
  }

  /**
   * The transaction is committed.
   *
   * @param inTable time of the version that it found or left in the table; undefined: it wrote nothing there
   */
  settle(row: R, inTable: number | undefined): void {
    const writing = this.#writing.get(row.id)
    if (!writing) return
    const isNewer = row.fetchedAt > (writing.last?.seenAt ?? -1)
    // A newer version than the last one known was refused: another process has written a still newer one.
    if (isNewer) {
      writing.last = inTable === row.fetchedAt ? { form: this.#formOf(row), seenAt: row.fetchedAt } : null
    }
    if (--writing.open > 0) return
    this.#writing.delete(row.id)
    if (!writing.last) return
    this.#entries.set(row.id, {
      ...writing.last,
      ...{ reliedAt: writing.last.seenAt, writtenAt: performance.now(), isGone: false },
    })
  }

  forget(): void {
    this.#entries.clear()
    this.#writing = new Map()
  }
}
