import { readArchive } from '../../lib/archive/read.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import type { SealedObject } from './object-builder.ts'
import type { ArchiverRow } from './row-format.ts'
import { archivedRow } from './row-format.ts'

interface BeatenObject {
  object: SealedObject
  rows: AsyncIterator<ArchivedRecord>
  /** The row to be taken next, or null if it must be read. */
  head: ArchivedRecord | null
}

/**
 * Objects that lost against a twin's shorter one. Their rows are taken again, from the first that the twin's lacks;
 * those of the object that was beaten last come before those of all others.
 */
export class BeatenObjects {
  readonly #stack: BeatenObject[] = []

  get isEmpty(): boolean {
    return this.#stack.length === 0
  }

  add(object: SealedObject): void {
    this.#stack.push({ object, rows: rowsOf(object), head: null })
  }

  /** The row to be taken next; stays the same until {@link skip}. Null when there is none left. */
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

/** The rows of an object that is sealed. */
export async function* rowsOf(object: SealedObject): AsyncGenerator<ArchivedRecord> {
  yield* (await readArchive(object.open())).rows
}
