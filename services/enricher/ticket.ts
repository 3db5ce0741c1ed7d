import { exponentialMs } from '../../lib/backoff.ts'
import type { DeadLetterReason } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Wanted } from './wanted.ts'

/**
 * One request for an entity, from its record to its end. `done`: its answer is in the topic, it needs none, or it
 * failed (`deadLetter`). A withdrawn ticket (its partition was lost) may still be answered: every process would
 * publish the same answer.
 */
export interface Ticket {
  readonly wanted: Wanted
  /** Null if it was deferred: then the record is settled, and Postgres keeps the lookup. */
  readonly record: RawRecord | null
  readonly isDeferred: boolean
  /** When it was created: a moment of `performance.now()`. */
  readonly since: number
  state: 'open' | 'done'
  deadLetter: { reason: DeadLetterReason; message: string } | null
  /** How often a request brought no answer for it; from {@link deferredFrom} on outages are not counted. */
  attempts: number
  /** The earliest time of the next request: a moment of `performance.now()`. */
  notBefore: number
  /** How many failures followed a success of the source for others. */
  failures: number
  /** The source's count of successes at the last failure, or null if none has failed yet. */
  successesAtFailure: number | null
}

/** A ticket whose record is not settled yet. */
export type RecordTicket = Ticket & { readonly record: RawRecord }

export function toTicket(wanted: Wanted, record: RawRecord, since: number): RecordTicket {
  return { ...fresh(wanted, since), record, isDeferred: false }
}

/** The ticket of a deferred lookup that is due again. */
export function toDeferredTicket(
  wanted: Wanted,
  { attempts, now }: { attempts: number; now: number },
): Ticket {
  return { ...fresh(wanted, now), record: null, isDeferred: true, attempts }
}

function fresh(wanted: Wanted, since: number): Omit<Ticket, 'record' | 'isDeferred'> {
  return {
    wanted,
    since,
    notBefore: 0,
    state: 'open',
    deadLetter: null,
    attempts: 0,
    failures: 0,
    successesAtFailure: null,
  }
}

/** A ticket with this many failures, each after a success for others, is given up. */
export const givenUpAfter = 6

/** With this many attempts, the last of them for its id alone, a ticket is deferred. */
const deferredFrom = 4
/** Reached after about five days of deferrals without outages; after eight days the loader requests the id again. */
const forgottenFrom = 15
const retries = { firstMs: 2_000, longestMs: 2_048_000 }
const deferralMaxMs = 24 * 3_600_000

/** The next step for a ticket that has failed and is not given up. */
export function afterFailure({ attempts }: Ticket): 'retry' | 'defer' | 'forget' {
  if (attempts < deferredFrom) return 'retry'
  return attempts < forgottenFrom ? 'defer' : 'forget'
}

/** Backoff of a ticket in memory: 2, 4, 8 seconds. */
export function retryMs(attempts: number): number {
  return exponentialMs(attempts, retries)
}

/** Backoff of a deferred lookup: `minMs`, twice that, four times … a day. */
export function deferralMs(attempts: number, minMs: number): number {
  return exponentialMs(attempts - deferredFrom + 1, { firstMs: minMs, longestMs: deferralMaxMs })
}

/**
 * Counts a failure. Toward giving up and forgetting, a failure counts only if the source has answered others since
 * the ticket's failure before, so an outage of any length loses nothing. It only defers tickets.
 *
 * @param source.successes requests that the source has answered so far
 * @param source.works it answered the request before this one; decides whether a first failure counts
 * @returns whether to give up the ticket
 */
export function countFailure(ticket: Ticket, source: { successes: number; works: boolean }): boolean {
  const { successes, works } = source
  const isOwn = ticket.successesAtFailure === null ? works : ticket.successesAtFailure !== successes
  if (isOwn || ticket.attempts < deferredFrom) ticket.attempts += 1
  if (isOwn) ticket.failures += 1
  ticket.successesAtFailure = successes
  return ticket.failures >= givenUpAfter
}
