import { readArchive } from '../../lib/archive/read.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import type { SealedObject } from './object-builder.ts'
import type { ArchiverRow } from './row-format.ts'
import { archivedRow } from './row-format.ts'

interface BeatenObject {
  object: SealedObject
  rows: AsyncIterator<ArchivedRecord>
  /** The next row, or null if it must be read first. */
  head: ArchivedRecord | null
}

/**
 * Objects whose key a twin took with a different object. Their rows are taken again; those that the archive holds
 * are skipped. The object beaten last comes first.
 */
export class BeatenObjects {
  readonly #stack: BeatenObject[] = []

  get isEmpty(): boolean {
    return this.#stack.length === 0
  }

  add(object: SealedObject): void {
    this.#stack.push({ object, rows: rowsOf(object), head: null })
  }

  /** The next row, the same until {@link skip}; or null if none is left. */
  async head(): Promise<ArchiverRow | null> {
    for (let top = this.#stack.at(-1); top; top = this.#stack.at(-1)) {
      top.head ??= (await top.rows.next()).value ?? null
      if (top.head) return archivedRow(top.head, top.object.format)
      this.#stack.pop()
      await top.object.close()
    }
    return null
  }

  skip(): void {
    const top = this.#stack.at(-1)
    if (top) top.head = null
  }

  async close(): Promise<void> {
    for (const { object } of this.#stack) await object.close()
  }
}

/** The rows of a sealed object. */
export async function* rowsOf(object: SealedObject): AsyncGenerator<ArchivedRecord> {
  yield* (await readArchive(object.open())).rows
}
