import { exponentialMs, pause } from '../../lib/backoff.ts'
import { isRecordFault, messageOf } from '../../lib/errors.ts'
import type { Health } from '../../lib/health.ts'
import type { Logger } from '../../lib/log.ts'
import type { Outages, Waiter } from '../../lib/outages.ts'
import type { Resource } from '../../lib/scope.ts'
import type { MetadataKind } from '../../lib/topology.ts'
import { AnswerOutbox } from './answer-outbox.ts'
import type { CapabilityWatch } from './capability-watch.ts'
import type { DeferredLookups } from './deferred.ts'
import type { Looked, Lookup } from './lookup.ts'
import { planBatch, unanswerable } from './plan.ts'
import type { TicketPool } from './pool.ts'
import type { PublishedEntity } from './publish.ts'
import type { FeaturesProvider, Source } from './route.ts'
import type { Ticket } from './ticket.ts'
import { TicketEnds } from './ticket-ends.ts'
import type { Wanted } from './wanted.ts'

export interface LookupWorkerOptions {
  source: Source
  lookup: Lookup
  pool: TicketPool
  capabilities: CapabilityWatch
  deferred: DeferredLookups
  provider: FeaturesProvider
  lingerMs: number
  readStoredAnswers: (kind: MetadataKind, wanted: readonly Wanted[]) => Promise<Set<string>>
  publish: (entities: readonly PublishedEntity[]) => Promise<void>
  /** Counts what fails and what works. */
  outages: Pick<Outages, 'failed' | 'worked'>
  health: Health
  log: Logger
  fail: (error: unknown) => void
}

interface Asked {
  kind: MetadataKind
  ids: readonly string[]
  tickets: Ticket[]
}

const idleMs = 5_000
/** A pause is checked again after this time, because an operator may have lifted it. */
const pauseLookMs = 600_000
/** An attempt at a source that is away costs a request of the budget; one at our own servers costs nothing. */
const sourceBackoffMaxMs = 300_000
const serverBackoffMaxMs = 15_000
const stuckAfterMs = 300_000
/** One request in this many is for tickets that failed before. */
const failedEvery = 10

/**
 * Works through the pool for one source, one request at a time, until it is closed.
 *
 * An answer is published before its tickets are done, and a partition's offset moves only past done tickets.
 * Answers that could not be published are kept and published before the next request, so no request is spent twice.
 */
export function openLookupWorker(options: LookupWorkerOptions): Resource {
  const { source, pool, health, log, fail } = options
  const stop = new AbortController()
  const worker = new LookupWorker(options, stop.signal)

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      const seen = pool.version
      const withinMs = await worker.step()
      if (withinMs === 0) continue
      // New tickets do not end a pause.
      if (worker.isBlocked) await pause(withinMs, stop.signal)
      else await pool.waitForChange(seen, { withinMs, signal: stop.signal })
    }
  }
  const running = run().catch((error) => {
    if (!stop.signal.aborted) fail(error)
  })
  health.register(`lookup ${source}`, () => worker.report())

  return {
    async close() {
      stop.abort()
      await running.catch((error) => log.warn({ source, reason: messageOf(error) }, 'lookups_ended'))
    },
  }
}

class LookupWorker {
  readonly #o: LookupWorkerOptions
  readonly #signal: AbortSignal
  readonly #waiter: Waiter
  readonly #ends: TicketEnds
  readonly #answers: AnswerOutbox
  #blockedUntil = 0
  #blockedBy: string | null = null
  #failuresInRow = 0
  #successes = 0
  #asks = 0
  #busySince: number | null = null

  constructor(options: LookupWorkerOptions, signal: AbortSignal) {
    this.#o = options
    this.#signal = signal
    this.#waiter = { name: `enricher, lookups at ${options.source}`, place: null }
    this.#ends = new TicketEnds(options)
    this.#answers = new AnswerOutbox({ ...options, ends: this.#ends })
  }

  get isBlocked(): boolean {
    return this.#blockedUntil > performance.now()
  }

  report() {
    const busyMs = this.#busySince === null ? 0 : performance.now() - this.#busySince
    if (busyMs > stuckAfterMs) {
      return {
        alive: false,
        ready: false,
        detail: `a lookup has been in work for ${Math.round(busyMs / 1000)} s`,
      }
    }
    const until = new Date(Date.now() + this.#blockedUntil - performance.now()).toISOString()
    const detail = this.isBlocked ? `waits until ${until}: ${this.#blockedBy}` : 'working'
    return { alive: true, ready: this.#failuresInRow < 3, detail }
  }

  /** Publishes answers that wait, or asks once. @returns milliseconds until there may be more to do */
  async step(): Promise<number> {
    const leftMs = this.#blockedUntil - performance.now()
    if (leftMs > 0) return leftMs
    this.#busySince = performance.now()
    try {
      const withinMs = await this.#next()
      this.#o.outages.worked(this.#waiter)
      return withinMs
    } catch (error) {
      if (this.#signal.aborted) return idleMs
      this.#o.outages.failed(this.#waiter, error)
      this.#fail(messageOf(error), serverBackoffMaxMs)
      return 0
    } finally {
      this.#busySince = null
    }
  }

  async #next(): Promise<number> {
    if (this.#answers.isEmpty) return this.#ask()
    await this.#answers.publish()
    return 0
  }

  async #ask(): Promise<number> {
    const { source, pool, provider, lingerMs, capabilities } = this.#o
    const refused = await capabilities.refused()
    this.#ends.end(unanswerable(pool.open, { provider, refused }), 'dropped')
    const failedFirst = this.#asks % failedEvery === failedEvery - 1
    const plan = planBatch(pool.open, {
      source,
      provider,
      refused,
      lingerMs,
      now: performance.now(),
      failedFirst,
    })
    if (plan.type === 'wait') return plan.forMs ?? idleMs
    this.#asks += 1
    const { kind } = plan
    const tickets = await this.#withoutStored(kind, plan.tickets)
    if (tickets.length === 0) return 0
    const ids = [...new Set(tickets.map((t) => t.wanted.id))]
    const looked = await this.#look(kind, ids)
    if (looked) await this.#take(looked, { kind, ids, tickets })
    else this.#ends.blameBug(tickets, ids)
    return 0
  }

  /** Null if these ids triggered a bug in the lookup. */
  async #look(kind: MetadataKind, ids: readonly string[]): Promise<Looked | null> {
    const { source, lookup, log } = this.#o
    try {
      return await lookup.look(kind, ids, this.#signal)
    } catch (error) {
      if (!isRecordFault(error) || this.#signal.aborted) throw error
      log.error({ err: error, source, kind, ids: ids.length }, 'lookup_bug')
      return null
    }
  }

  /** Ends the tickets whose answer is stored already. @returns the others */
  async #withoutStored(kind: MetadataKind, tickets: readonly Ticket[]): Promise<Ticket[]> {
    const wanted = tickets.map((t) => t.wanted)
    const stored = await this.#o.readStoredAnswers(kind, wanted)
    this.#ends.end(
      tickets.filter((t) => stored.has(t.wanted.key)),
      'known',
    )
    return tickets.filter((t) => !stored.has(t.wanted.key))
  }

  async #take(looked: Looked, asked: Asked): Promise<void> {
    const { source, capabilities } = this.#o
    switch (looked.type) {
      case 'paused':
        return this.#block(Math.min(looked.forMs, pauseLookMs), looked.reason)
      case 'gated':
        return capabilities.refuse(looked.capability)
      case 'failed':
        return this.#sourceFailed(asked.tickets, looked.reason)
      case 'answers':
        this.#successes += 1
        this.#failuresInRow = 0
        this.#answers.add(looked.answers, asked.tickets)
        await this.#answers.publish()
        if (source === 'spotify') await capabilities.confirm(asked.kind, asked.ids.length > 1)
    }
  }

  async #sourceFailed(tickets: readonly Ticket[], reason: string): Promise<void> {
    const health = { successes: this.#successes, works: this.#failuresInRow === 0 }
    this.#fail(reason, sourceBackoffMaxMs)
    await this.#ends.fail(tickets, reason, health)
  }

  #fail(reason: string, longestMs: number): void {
    this.#failuresInRow += 1
    this.#block(exponentialMs(this.#failuresInRow, { firstMs: 1_000, longestMs }), reason)
  }

  #block(forMs: number, reason: string): void {
    this.#blockedUntil = performance.now() + forMs
    this.#blockedBy = reason
    this.#o.log.warn({ source: this.#o.source, forMs, reason }, 'lookups_wait')
  }
}
