import type { Server } from '../errors.ts'
import { within } from '../time-limit.ts'
import type { RawRecord } from './record.ts'

/** A record that holds up its partition, or does so no more. */
export interface HeldUp {
  record: RawRecord
  state: 'raised' | 'resolved'
  /** What its server says; empty when it is over. */
  words: string
}

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
  #named: RawRecord | null = null

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

  /** @returns how many of the records shall go alone */
  halve(records: number): number {
    this.#size = Math.ceil(records / 2)
    return this.#size
  }

  /** @returns whether it had no name yet */
  name(record: RawRecord): boolean {
    if (this.#named?.offset === record.offset) return false
    this.#named = record
    return true
  }

  /** The batch is settled. @returns the record that was named, when it is behind now */
  passed(batch: readonly RawRecord[]): RawRecord | null {
    const last = batch.at(-1)?.offset ?? -1
    const named = this.#named
    const isPast = named !== null && named.offset <= last
    if (isPast) this.#named = null
    if (last < this.#through) this.#size *= 2
    else {
      this.#since = null
      this.#size = Number.POSITIVE_INFINITY
    }
    return isPast ? named : null
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
