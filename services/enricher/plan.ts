import type { MetadataKind } from '../../lib/topology.ts'
import type { FeaturesProvider, Refused, Source } from './route.ts'
import { batchMaxOf, routeOf } from './route.ts'
import type { Ticket } from './ticket.ts'

export type Plan =
  /** Tickets of one kind, for one request; several tickets may be for the same id. */
  | { type: 'ask'; kind: MetadataKind; tickets: Ticket[] }
  /** Nothing is ready; `forMs` is the time until the first batch is, or null if nothing waits. */
  | { type: 'wait'; forMs: number | null }

export interface PlanOptions {
  source: Source
  provider: FeaturesProvider
  refused: Refused
  lingerMs: number
  /** A moment of `performance.now()`. */
  now: number
  /** Tickets that failed go first this once, so that a long queue of new ones does not hold them up for days. */
  failedFirst?: boolean
}

/**
 * Divides the size of a batch, by the attempts of its tickets: one of its ids may fail the whole batch, and the
 * others must get through. An outage costs a few more requests by this, for the tickets that failed in it only.
 */
const shrink = [1, 1, 4] as const

/** From this many attempts on a ticket goes into a smaller batch. */
export const smallerFrom = 2

/**
 * Chooses the next request to a source, over all kinds: the tickets that failed least often, so that one bad id does
 * not hold up the others. A batch is ready when it is full or its oldest ticket has waited for `lingerMs`; tickets
 * that failed, when their `notBefore` has passed.
 *
 * @param tickets the oldest first; there may be thousands, so they are not sorted
 */
export function planBatch(tickets: Iterable<Ticket>, options: PlanOptions): Plan {
  const { source, provider, refused, failedFirst } = options
  let best: Extract<Candidate, { type: 'ready' }> | null = null
  let waitMs: number | null = null
  for (const [kind, waiting] of Map.groupBy(tickets, (t) => t.wanted.kind)) {
    if (routeOf(kind, { provider, refused }) !== source) continue
    const candidate = toCandidate(kind, waiting, options)
    if (candidate.type === 'wait') waitMs = Math.min(waitMs ?? candidate.forMs, candidate.forMs)
    else if (best === null || isBefore(candidate.attempts, best.attempts, failedFirst)) best = candidate
  }
  if (best === null) return { type: 'wait', forMs: waitMs }
  return { type: 'ask', kind: best.kind, tickets: best.tickets }
}

/** The best batch of one kind, and how often its tickets have failed. */
type Candidate =
  | { type: 'ready'; kind: MetadataKind; attempts: number; tickets: Ticket[] }
  | { type: 'wait'; forMs: number }

function toCandidate(kind: MetadataKind, waiting: readonly Ticket[], options: PlanOptions): Candidate {
  const { source, refused, lingerMs, now, failedFirst } = options
  const due = waiting.filter((t) => t.notBefore <= now)
  const [someone] = due
  if (!someone) return { type: 'wait', forMs: Math.min(...waiting.map((t) => t.notBefore - now)) }
  const first = due.reduce((a, b) => (isBefore(b.attempts, a.attempts, failedFirst) ? b : a), someone)
  const { attempts } = first
  const most = batchMaxOf(source, kind, refused)
  const max = sizeFor(first, most)
  const peers = due.filter((t) => sizeFor(t, most) === max)
  const batch = takeIds([...peers.filter((t) => t.attempts === attempts), ...peers], max)
  const waitsForMs = first.since + lingerMs - now
  const full = new Set(batch.map((t) => t.wanted.id)).size >= max
  if (waitsForMs > 0 && attempts === 0 && !full) return { type: 'wait', forMs: waitsForMs }
  return { type: 'ready', kind, attempts, tickets: batch }
}

function isBefore(attempts: number, than: number, failedFirst = false): boolean {
  return failedFirst ? attempts > than : attempts < than
}

/** Tickets that no source answers. */
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

/** The tickets of the first `max` different ids. */
function takeIds(tickets: readonly Ticket[], max: number): Ticket[] {
  const ids = new Set<string>()
  for (const { wanted } of tickets) {
    if (ids.size >= max) break
    ids.add(wanted.id)
  }
  return [...new Set(tickets)].filter((t) => ids.has(t.wanted.id))
}
