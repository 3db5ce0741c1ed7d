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

/** From so many failures on an id is asked for alone: it may be the one that spoils its batch. */
export const aloneFrom = 2

/**
 * Chooses what a source is asked next. A batch is asked when it is full or its oldest ticket has waited long
 * enough. What has failed comes after what has not, so that one bad id holds up nobody.
 */
export function planBatch(tickets: Iterable<Ticket>, options: PlanOptions): Plan {
  const { source, provider, refused, lingerMs, now } = options
  const mine = [...tickets]
    .filter((t) => t.state === 'open' && routeOf(t.wanted.kind, { provider, refused }) === source)
    .sort((a, b) => a.failures - b.failures || a.since - b.since)
  let waitMs: number | null = null
  for (const first of firstOfEachKind(mine)) {
    const { kind } = first.wanted
    const max = first.failures >= aloneFrom ? 1 : batchMaxOf(source, kind, refused)
    const batch = takeIds(
      mine.filter((t) => t.wanted.kind === kind),
      max,
    )
    const waitsForMs = first.since + lingerMs - now
    if (waitsForMs <= 0 || first.failures > 0 || idCount(batch) >= max)
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

/** The first tickets that are for at most `max` different ids. */
function takeIds(tickets: readonly Ticket[], max: number): Ticket[] {
  const ids = new Set<string>()
  return tickets.filter((t) => {
    if (ids.size >= max && !ids.has(t.wanted.id)) return false
    if (max > 1 && t.failures >= aloneFrom) return false
    ids.add(t.wanted.id)
    return true
  })
}

function idCount(tickets: readonly Ticket[]): number {
  return new Set(tickets.map((t) => t.wanted.id)).size
}
