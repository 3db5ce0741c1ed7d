import { incarnationOf, latestOf, presentObjects } from '../../lib/archive/incarnations.ts'
import type { ArchiveKey } from '../../lib/archive/key.ts'
import type { Freshness } from './listing.ts'

/**
 * The state of an archiver in one partition: what the archive holds, what waits in the open object, and what may be
 * committed. Offsets are -1 before the first record.
 */
export interface Frontier {
  /** The last record delivered by Kafka. */
  readonly seen: number
  /** The last record that is in the archive or in the open object. Records up to it are skipped. */
  readonly taken: number
  /** The last record that is in the archive. */
  readonly durable: number
  /** An object grows, or is sealed and not put yet. */
  readonly isOpen: boolean
  /** The incarnation that new objects belong to. */
  readonly incarnation: number
  /** The existing object that covers the offsets after `taken` up to `last`, if there is one. */
  readonly holder: { readonly key: ArchiveKey; readonly last: number } | null
  /** Existing objects that begin after the holder, by first offset; or null until the archive is listed. */
  readonly ahead: readonly ArchiveKey[] | null
  /** How fresh listings must be: from the begin of the term on; after a surprise for past dates too. */
  readonly freshness: Freshness
}

/** The next step towards taking a record. A step that fails is repeated. */
export type Step =
  | { type: 'list'; freshness: Freshness }
  /** Ask where an existing object ends. */
  | { type: 'measure'; key: ArchiveKey }
  /** Ask whether an existing object holds this record. */
  | { type: 'compare'; key: ArchiveKey }
  /** Put the open object. */
  | { type: 'put' }
  /** Append the record to the open object, or begin one with it. */
  | { type: 'append' }

/** A step that succeeded. Moments are by `performance.now()`. */
export type FrontierEvent =
  | { type: 'record'; offset: number }
  /** The archive was listed for the record at `offset`. */
  | { type: 'listed'; objects: readonly ArchiveKey[]; offset: number; freshness: Freshness }
  | { type: 'measured'; last: number }
  /** The object to measure no longer exists. */
  | { type: 'gone'; at: number }
  | { type: 'compared'; offset: number; isHeld: boolean }
  | { type: 'appended'; offset: number }
  /**
   * The open object is in the archive, or a twin's object has its key. The archive holds its records from `first` to
   * `through`: all of them, or those that the twin's object has too; none if `through` is before `first`.
   */
  | { type: 'put'; first: number; through: number; isTwin: boolean; at: number }

/** @param at begin of the term of ownership, by `performance.now()` */
export function openFrontier(at: number): Frontier {
  return {
    ...{ seen: -1, taken: -1, durable: -1, isOpen: false, incarnation: 0, holder: null, ahead: null },
    freshness: { after: at, past: false },
  }
}

/** The last offset that may be committed. */
export const committable = ({ durable, seen }: Frontier): number => Math.min(durable, seen)

/**
 * The next step towards having a record in the archive or in the open object. The record is not taken yet.
 *
 * @param fits whether the open object can hold it
 */
export function stepFor(frontier: Frontier, offset: number, fits: boolean): Step {
  const { ahead, holder, isOpen, taken, freshness } = frontier
  if (!ahead) return { type: 'list', freshness }
  const next = ahead[0]
  if (next && next.firstOffset <= offset) return isOpen ? { type: 'put' } : { type: 'measure', key: next }
  if (holder && offset <= holder.last) return { type: 'compare', key: holder.key }
  if (isOpen) return { type: fits ? 'append' : 'put' }
  // A twin's object may cover the offsets between, under a date that was listed before it was put.
  const isGap = offset > (holder?.last ?? taken) + 1
  return isGap && !freshness.past ? { type: 'list', freshness: withPast(freshness) } : { type: 'append' }
}

/** The frontier after an event. */
export function next(frontier: Frontier, event: FrontierEvent): Frontier {
  switch (event.type) {
    case 'record':
      return { ...frontier, seen: Math.max(frontier.seen, event.offset) }
    case 'listed': {
      const { objects, offset, freshness } = event
      const incarnation = Math.max(frontier.incarnation, latestOf(objects))
      return { ...frontier, incarnation, holder: null, ahead: presentObjects(objects, offset), freshness }
    }
    case 'measured':
      return cover(frontier, event.last)
    case 'gone':
      return { ...frontier, ...listAgain(event.at) }
    case 'compared':
      if (event.isHeld) return { ...frontier, taken: event.offset, durable: event.offset }
      // Before another incarnation begins, the latest objects must be known: past dates are listed again once.
      if (frontier.freshness.past) return diverge(frontier)
      return { ...frontier, ahead: null, freshness: withPast(frontier.freshness) }
    case 'appended':
      return { ...frontier, taken: event.offset, isOpen: true }
    case 'put': {
      const { first, through, isTwin, at } = event
      const durable = through >= first ? through : frontier.durable
      const put = { ...frontier, taken: through, durable, isOpen: false, holder: null }
      return isTwin ? { ...put, ...listAgain(at) } : put
    }
  }
}

const withPast = ({ after }: Freshness): Freshness => ({ after, past: true })

/** After a surprise all dates are listed again. */
const listAgain = (at: number) => ({ ahead: null, freshness: { after: at, past: true } })

/** The next object ahead becomes the holder, up to the begin of the following one, which may lie within it. */
function cover(frontier: Frontier, measured: number): Frontier {
  const [key, following] = frontier.ahead ?? []
  if (!key) return frontier
  const before = frontier.holder?.last ?? frontier.taken
  const last = Math.max(before, Math.min(measured, (following?.firstOffset ?? Number.POSITIVE_INFINITY) - 1))
  return { ...frontier, holder: { key, last }, ahead: frontier.ahead?.slice(1) ?? null }
}

/**
 * The holder has another record under this offset, so the log differs from the holder's from here on. If the holder
 * is of the latest incarnation, the next one begins. Otherwise the log is the latest one, not archived this far back.
 */
function diverge(frontier: Frontier): Frontier {
  const isLatest = frontier.holder !== null && incarnationOf(frontier.holder.key) === frontier.incarnation
  const incarnation = isLatest ? frontier.incarnation + 1 : frontier.incarnation
  const ahead = frontier.ahead?.filter((key) => incarnationOf(key) === incarnation) ?? null
  return { ...frontier, incarnation, holder: null, ahead }
}
