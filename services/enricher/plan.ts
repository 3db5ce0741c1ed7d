import type { MetadataKind } from '../../lib/topology.ts'
import type { FeaturesProvider, Refused, Source } from './route.ts'
import { batchMaxOf, routeOf } from './route.ts'
import type { Ticket } from './ticket.ts'

export type Plan =
  /** Tickets of one kind, for one request; several tickets may be for the same id. */
  | { type: 'ask'; kind: MetadataKind; tickets: Ticket[] }
  /** Nothing is ready; the first will be after this time, or null if nothing waits. */
  | { type: 'wait'; forMs: number | null }

export interface PlanOptions {
  source: Source
  provider: FeaturesProvider
  refused: Refused
  lingerMs: number
  /** A moment of `performance.now()`. */
  now: number
  /** What failed goes first this once, so that a long queue of what did not cannot hold it up for days. */
  failedFirst?: boolean
}

/**
 * How much smaller a batch is that has failed before: it may hold an id that spoils it, and the others are to
 * get through. An outage costs a few requests more by this, and no more than the tickets that met it.
 */
const shrink = [1, 1, 4] as const

/** So many attempts make a ticket one of a smaller batch. */
export const smallerFrom = 2

/**
 * Chooses what a source is asked next, over all kinds: what has failed least often, so that one bad id holds up nobody.
 * A batch is asked when it is full or its oldest ticket has waited long enough; a ticket that failed, when its time
 * has come.
 *
 * @param tickets the oldest first; thousands, so each is looked at a few times and never sorted
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
