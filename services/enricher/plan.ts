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
 *
 * @param tickets the oldest first; thousands, so each is looked at a few times and never sorted
 */
export function planBatch(tickets: Iterable<Ticket>, options: PlanOptions): Plan {
  const { source, provider, refused, lingerMs, now } = options
  let waitMs: number | null = null
  for (const [kind, waiting] of Map.groupBy(tickets, (t) => t.wanted.kind)) {
    if (routeOf(kind, { provider, refused }) !== source) continue
    const attempts = waiting.reduce((least, t) => Math.min(least, t.attempts), Number.POSITIVE_INFINITY)
    const first = waiting.find((t) => t.attempts === attempts)
    if (!first) continue
    const most = batchMaxOf(source, kind, refused)
    const max = sizeFor(first, most)
    const peers = waiting.filter((t) => sizeFor(t, most) === max)
    const batch = takeIds([...peers.filter((t) => t.attempts === attempts), ...peers], max)
    const waitsForMs = first.since + lingerMs - now
    const full = new Set(batch.map((t) => t.wanted.id)).size >= max
    if (waitsForMs <= 0 || attempts > 0 || full) return { type: 'ask', kind, tickets: batch }
    waitMs = Math.min(waitMs ?? waitsForMs, waitsForMs)
  }
  return { type: 'wait', forMs: waitMs }
}

/** Tickets that nobody will answer. */
export function unanswerable(
  tickets: Iterable<Ticket>,
  options: { provider: FeaturesProvider; refused: Refused },
): Ticket[] {
  const byKind = Map.groupBy(tickets, (t) => t.wanted.kind)
  return [...byKind].flatMap(([kind, waiting]) => (routeOf(kind, options) === null ? waiting : []))
}

function sizeFor(ticket: Ticket, most: number): number {
  return Math.max(1, Math.floor(most / (shrink[ticket.attempts] ?? most)))
}

/** The first tickets that are for at most `max` different ids; every ticket of an id that is taken. */
function takeIds(tickets: readonly Ticket[], max: number): Ticket[] {
  const ids = new Set<string>()
  for (const { wanted } of tickets) {
    if (ids.size >= max) break
    ids.add(wanted.id)
  }
  return [...new Set(tickets)].filter((t) => ids.has(t.wanted.id))
}
