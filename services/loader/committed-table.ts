import { LRUCache } from 'lru-cache'
import type { Freshness } from './freshness.ts'

/** A committed row. */
export interface Entry {
  /** The row's content as text. */
  readonly form: string
  /** Newest fetch known to show this form, Unix ms. */
  seenAt: number
  /** Newest fetch for which a batch relies on this entry; the batch may be under way. */
  reliedAt: number
  /** When it was committed, by `performance.now()`. */
  readonly writtenAt: number
  /** It was replaced, evicted or forgotten. */
  isGone: boolean
}

/** A row that transactions under way are writing. */
interface Writing {
  open: number
  /** What the table will hold once all of them have ended, or null if not known. */
  last: { form: string; seenAt: number } | null
}

/** About 300 bytes each. */
const maxEntries = 30_000

/**
 * The committed rows of one table, as far as known. While a transaction writes a row, nothing is known of that row:
 * another version is sent too, and the database decides which one wins.
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

  /** Call it before a transaction writes a row. */
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
   * Call it when a transaction that was to write a row has ended.
   *
   * @param inTable time of the version that it has left in the table, or undefined if it wrote none
   */
  settle(row: R, inTable: number | undefined): void {
    const writing = this.#writing.get(row.id)
    if (!writing) return
    const isNewer = row.fetchedAt > (writing.last?.seenAt ?? -1)
    // If a version newer than the last known one was refused, another process has written a still newer one.
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
