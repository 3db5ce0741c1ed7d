import type { MetadataKind } from '../../lib/topology.ts'
import type { FeaturesProvider, Refused, Source } from './route.ts'
import { batchMaxOf, routeOf } from './route.ts'
import type { Ticket } from './ticket.ts'

export type Plan =
  /** Tickets of one kind, for one request; several tickets may be for the same id. */
  | { type: 'ask'; kind: MetadataKind; tickets: Ticket[] }
  /** Nothing is ready before this time; null: nothing waits. */
  | { type: 'wait'; forMs: number | null }

export interface PlanOptions {
  source: Source
  provider: FeaturesProvider
  refused: Refused
  lingerMs: number
  /** Unix time in milliseconds. */
  now: number
}

/**
 * How much smaller a batch is that has failed before: it may hold an id that spoils it, and the others are to
 * get through. An outage costs a few requests more by this, and no more than the tickets that met it.
 */
const shrink = [1, 1, 4] as const

/** So many attempts make a ticket one of a smaller batch. */
export const smallerFrom = 2

/**
 * Chooses what a source is asked next. A batch is asked when it is full or its oldest ticket has waited long
 * enough. What has failed comes after what has not, so that one bad id holds up nobody.
 */
export function planBatch(tickets: Iterable<Ticket>, options: PlanOptions): Plan {
  const { source, provider, refused, lingerMs, now } = options
  const mine = [...tickets]
    .filter((t) => t.state === 'open' && routeOf(t.wanted.kind, { provider, refused }) === source)
    .sort((a, b) => a.attempts - b.attempts || a.since - b.since)
  let waitMs: number | null = null
  for (const first of firstOfEachKind(mine)) {
    const { kind } = first.wanted
    const most = batchMaxOf(source, kind, refused)
    const max = sizeFor(first, most)
    const peers = mine.filter((t) => t.wanted.kind === kind && sizeFor(t, most) === max)
    const batch = takeIds(peers, max)
    const waitsForMs = first.since + lingerMs - now
    if (waitsForMs <= 0 || first.attempts > 0 || idCount(batch) >= max)
      return { type: 'ask', kind, tickets: batch }
    waitMs = Math.min(waitMs ?? waitsForMs, waitsForMs)
  }
  return { type: 'wait', forMs: waitMs }
}

/** Tickets that nobody will answer. */
export function unanswerable(
  tickets: Iterable<Ticket>,
  options: { provider: FeaturesProvider; refused: Refused },
): Ticket[] {
  return [...tickets].filter((t) => t.state === 'open' && routeOf(t.wanted.kind, options) === null)
}

function firstOfEachKind(tickets: readonly Ticket[]): Ticket[] {
  const seen = new Set<MetadataKind>()
  return tickets.filter((t) => {
    const isFirst = !seen.has(t.wanted.kind)
    seen.add(t.wanted.kind)
    return isFirst
  })
}

function sizeFor(ticket: Ticket, most: number): number {
  return Math.max(1, Math.floor(most / (shrink[ticket.attempts] ?? most)))
}

/** The first tickets that are for at most `max` different ids. */
function takeIds(tickets: readonly Ticket[], max: number): Ticket[] {
  const ids = new Set<string>()
  return tickets.filter((t) => {
    if (ids.size >= max && !ids.has(t.wanted.id)) return false
    ids.add(t.wanted.id)
    return true
  })
}

function idCount(tickets: readonly Ticket[]): number {
  return new Set(tickets.map((t) => t.wanted.id)).size
}
