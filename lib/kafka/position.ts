import { checkpoint } from '../checkpoint.ts'
import type { LogMark } from './log-mark.ts'
import { LogMarks } from './log-marks.ts'
import type { RawRecord } from './record.ts'

/**
 * @param last the record before the offset, or null if it is not known
 * @throws when the commit fails; the next one covers it
 */
export type CommitOffset = (nextOffset: number, last: LogMark | null) => Promise<void>

/**
 * How far one partition is settled and committed. States: committed ⇄ pending (a commit failed or is not made yet). The
 * next commit covers a pending one; otherwise the records come again, and sinks are idempotent.
 */
export class Position {
  readonly #commitOffset: CommitOffset
  readonly #marks = new LogMarks()
  #pending: { offset: number; last: LogMark | null } | null = null

  constructor(commit: CommitOffset) {
    this.#commitOffset = commit
  }

  get isPending(): boolean {
    return this.#pending !== null
  }

  /** See {@link LogMarks.note}. */
  note(records: readonly RawRecord[], through: number | null): void {
    this.#marks.note(records, through)
  }

  /** Called when the effect of all records through this offset is durable and their dead letters are published. */
  settle(through: number): void {
    checkpoint('consumer.settled')
    this.#pending = { offset: through + 1, last: this.#marks.take(through) }
  }

  /** Commits the pending offset. @returns the offset, or null if nothing was pending */
  async commit(): Promise<number | null> {
    if (!this.#pending) return null
    const { offset, last } = this.#pending
    await this.#commitOffset(offset, last)
    this.#pending = null
    return offset
  }
}
