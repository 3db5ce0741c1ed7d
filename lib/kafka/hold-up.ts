import type { Server } from '../errors.ts'
import { within } from '../time-limit.ts'
import type { RawRecord } from './record.ts'

const probeWithinMs = 10_000

/**
 * Finds the record that holds up a partition. When a batch fails for long although its server answers, its first half
 * is tried alone, then half of that, until the first record that fails by itself is found. Records before it are
 * settled on the way, records behind it wait.
 */
export class HoldUp {
  #since: number | null = null
  /** Last offset of the batch that failed. */
  #through = -1
  /** Most records of one batch up to that offset. */
  #size = Number.POSITIVE_INFINITY

  /** @returns for how many milliseconds the batch, or the one it is a part of, has failed */
  failed(batch: readonly RawRecord[], now: number): number {
    this.#since ??= now
    this.#through = Math.max(this.#through, batch.at(-1)?.offset ?? -1)
    return now - this.#since
  }

  /** Most records of the next batch, which begins at this offset. */
  sizeAt(offset: number, most: number): number {
    return offset > this.#through ? most : Math.min(this.#size, most)
  }

  /** @returns how many of the records the next attempt takes */
  halve(records: number): number {
    this.#size = Math.ceil(records / 2)
    return this.#size
  }

  /** Called when the batch is settled. */
  passed(batch: readonly RawRecord[]): void {
    if ((batch.at(-1)?.offset ?? -1) < this.#through) this.#size *= 2
    else {
      this.#since = null
      this.#size = Number.POSITIVE_INFINITY
    }
  }
}

/** Whether a server answers; true if the server is not known. */
export async function answers(server: Server | null): Promise<boolean> {
  if (!server) return true
  const probe = server.probe().then(
    () => true,
    () => false,
  )
  return (await within(probeWithinMs, probe)) === true
}
