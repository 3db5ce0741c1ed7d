import type { DeadLetterReason } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Wanted } from './wanted.ts'

/**
 * One request in hand, from its record to its end. `done`: its answer is in the topic, or it needs none; with
 * `deadLetter` it could not be answered. A ticket that is withdrawn (its partition was lost) may still be
 * answered: answers are the same for everybody.
 */
export interface Ticket {
  readonly wanted: Wanted
  readonly record: RawRecord
  /** When it was taken in: Unix time in milliseconds. */
  readonly since: number
  state: 'open' | 'done'
  deadLetter: { reason: DeadLetterReason; message: string } | null
  /** Times that a request for it failed. */
  attempts: number
  /** Of those, the ones with a success for others since the one before. */
  failures: number
  /** The source's successes at the last failure; null: it has not failed yet. */
  successesAtFailure: number | null
}

export function toTicket(wanted: Wanted, record: RawRecord, since: number): Ticket {
  return {
    wanted,
    record,
    since,
    state: 'open',
    deadLetter: null,
    attempts: 0,
    failures: 0,
    successesAtFailure: null,
  }
}

/** An id that failed so often, while others succeeded in between, is given up. */
export const givenUpAfter = 6

/**
 * Counts a failure. During an outage nothing succeeds, and only the first failure counts: an outage of any
 * length gives up nothing.
 *
 * @param successes requests that the source has answered so far
 * @returns whether the ticket is to be given up
 */
export function countFailure(ticket: Ticket, successes: number): boolean {
  ticket.attempts += 1
  if (ticket.successesAtFailure !== successes) ticket.failures += 1
  ticket.successesAtFailure = successes
  return ticket.failures >= givenUpAfter
}
