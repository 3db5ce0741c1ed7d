import { exponentialMs } from '../../lib/backoff.ts'
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
  /** Null if it was deferred: its record is settled, and the lookup kept in Postgres. */
  readonly record: RawRecord | null
  readonly isDeferred: boolean
  /** When it was taken in: a moment of `performance.now()`. */
  readonly since: number
  state: 'open' | 'done'
  deadLetter: { reason: DeadLetterReason; message: string } | null
  /** Times that a request for it failed; once it is deferred, outages are not counted. */
  attempts: number
  /** Not asked for before: a moment of `performance.now()`. */
  notBefore: number
  /** Of those, the ones with a success for others since the one before. */
  failures: number
  /** The source's successes at the last failure, or null if it has not failed yet. */
  successesAtFailure: number | null
}

/** A ticket whose record is in hand. */
export type RecordTicket = Ticket & { readonly record: RawRecord }

export function toTicket(wanted: Wanted, record: RawRecord, since: number): RecordTicket {
  return { ...fresh(wanted, since), record, isDeferred: false }
}

/** A lookup that is due again. */
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

/** An id that failed so often, while others succeeded in between, is given up. */
export const givenUpAfter = 6

/** From so many attempts on, of which the last were for this id alone, it is deferred. */
const deferredFrom = 4
/** About five days of deferrals, outages not counted; after eight days the loader asks again by itself. */
const forgottenFrom = 15
const retries = { firstMs: 2_000, longestMs: 2_048_000 }
const deferralMaxMs = 24 * 3_600_000

/** What comes of a ticket that has failed and is not given up. */
export function afterFailure({ attempts }: Ticket): 'retry' | 'defer' | 'forget' {
  if (attempts < deferredFrom) return 'retry'
  return attempts < forgottenFrom ? 'defer' : 'forget'
}

/** Until it is asked for again in memory: 2, 4, 8 seconds. */
export function retryMs(attempts: number): number {
  return exponentialMs(attempts, retries)
}

/** Until a deferred lookup is due: the shortest time, twice that, four times … a day. */
export function deferralMs(attempts: number, minMs: number): number {
  return exponentialMs(attempts - deferredFrom + 1, { firstMs: minMs, longestMs: deferralMaxMs })
}

/**
 * Counts a failure. During an outage nothing succeeds, and only failures with a success for others since the one before
 * count: an outage of any length gives up and forgets nothing. It defers, which needs few attempts.
 *
 * @param source.successes requests that it has answered so far
 * @param source.works it answered the request before this one: what a first failure is judged by
 * @returns whether the ticket is to be given up
 */
export function countFailure(ticket: Ticket, source: { successes: number; works: boolean }): boolean {
  const { successes, works } = source
  const isOwn = ticket.successesAtFailure === null ? works : ticket.successesAtFailure !== successes
  if (isOwn || ticket.attempts < deferredFrom) ticket.attempts += 1
  if (isOwn) ticket.failures += 1
  ticket.successesAtFailure = successes
  return ticket.failures >= givenUpAfter
}
