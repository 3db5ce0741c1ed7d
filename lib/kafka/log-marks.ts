import type { LogMark } from './log-mark.ts'
import { toMark } from './log-mark.ts'
import type { RawRecord } from './record.ts'

/** Marks of one partition's records that may still be the last ones before a commit. */
export class LogMarks {
  #offsets: number[] = []
  #marks: LogMark[] = []

  /**
   * Notes records. Those before `through` need no mark, because the next commit follows the record at `through` or a
   * later one: so a sink that settles whole batches costs one checksum a batch.
   *
   * @param records in offset order; those that are already noted are skipped
   * @param through the offset through which the sink has settled, or null if nothing new is settled
   */
  note(records: readonly RawRecord[], through: number | null): void {
    const from = Math.max(through ?? 0, (this.#offsets.at(-1) ?? -1) + 1)
    for (const record of records) {
      if (record.offset < from) continue
      this.#offsets.push(record.offset)
      this.#marks.push(toMark(record))
    }
  }

  /** The mark of the record at an offset, or null if it was not noted. Forgets all marks before it. */
  take(offset: number): LogMark | null {
    const at = this.#offsets.findIndex((o) => o >= offset)
    const gone = at < 0 ? this.#offsets.length : at
    this.#offsets.splice(0, gone)
    this.#marks.splice(0, gone)
    return this.#offsets[0] === offset ? (this.#marks[0] ?? null) : null
  }
}
