import type { Server } from '../errors.ts'
import { within } from '../time-limit.ts'
import type { RawRecord } from './record.ts'

const probeWithinMs = 10_000

/**
 * Finds the record that holds up a partition. A batch that fails for long although its server answers is taken
 * apart from its front: half of it goes alone, and half of that, until the first record that fails by itself is
 * found. What lies before it is settled on the way, what lies behind it waits.
 */
export class HoldUp {
  #since: number | null = null
  /** Last offset of the batch that failed. */
  #through = -1
  /** Most records that go together up to there. */
  #size = Number.POSITIVE_INFINITY

  /** @returns for how many milliseconds the batch, or the one that it is a part of, has failed */
  failed(batch: readonly RawRecord[], now: number): number {
    this.#since ??= now
    this.#through = Math.max(this.#through, batch.at(-1)?.offset ?? -1)
    return now - this.#since
  }

  /** Most records of the next batch, whose first one has this offset. */
  sizeAt(offset: number, most: number): number {
    return offset > this.#through ? most : Math.min(this.#size, most)
  }

  /** @returns how many of the records go alone */
  halve(records: number): number {
    this.#size = Math.ceil(records / 2)
    return this.#size
  }

  /** The batch is settled. */
  passed(batch: readonly RawRecord[]): void {
    if ((batch.at(-1)?.offset ?? -1) < this.#through) this.#size *= 2
    else {
      this.#since = null
      this.#size = Number.POSITIVE_INFINITY
    }
  }
}

/** Whether a server answers; one that nobody knows counts as one that does. */
export async function answers(server: Server | null): Promise<boolean> {
  if (!server) return true
  const probe = server.probe().then(
    () => true,
    () => false,
  )
  return (await within(probeWithinMs, probe)) === true
}
