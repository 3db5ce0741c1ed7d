import { isRetriable, messageOf } from '../../lib/errors.ts'
import type { Health } from '../../lib/health.ts'
import { pause } from '../../lib/kafka/pause.ts'
import type { Logger } from '../../lib/log.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Resource } from '../../lib/scope.ts'
import type { MetadataKind } from '../../lib/topology.ts'
import type { CapabilityWatch } from './capability-watch.ts'
import type { Looked, Lookup } from './lookup.ts'
import { aloneFrom, planBatch, unanswerable } from './plan.ts'
import type { TicketPool } from './pool.ts'
import type { PublishedEntity } from './publish.ts'
import type { FeaturesProvider, Source } from './route.ts'
import type { Ticket } from './ticket.ts'
import { countFailure } from './ticket.ts'
import type { Wanted } from './wanted.ts'

export interface LaneOptions {
  source: Source
  lookup: Lookup
  pool: TicketPool
  capabilities: CapabilityWatch
  provider: FeaturesProvider
  lingerMs: number
  readAnswered: (kind: MetadataKind, wanted: readonly Wanted[]) => Promise<Set<string>>
  publish: (entities: readonly PublishedEntity[]) => Promise<void>
  health: Health
  log: Logger
  fail: (error: unknown) => void
}

const idleMs = 5_000
/** A pause is looked at again in this time, in case somebody has lifted it. */
const pauseLookMs = 600_000
const backoffMaxMs = 600_000
const stuckAfterMs = 300_000

/**
 * Works through the pool for one source, one request at a time, until it is closed.
 *
 * Order of steps: an answer is published before its tickets are done, and a partition's offset moves only past
 * done tickets. Answers that Kafka does not take are kept and published again before anything else is asked, so
 * no request is spent twice.
 */
export function openLane(options: LaneOptions): Resource {
  const { source, pool, health, log, fail } = options
  const stop = new AbortController()
  const lane = new Lane(options, stop.signal)

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      const changed = pool.changed
      const waitMs = await lane.step()
      if (waitMs > 0) await Promise.race([pause(waitMs, stop.signal), ...(lane.blocked ? [] : [changed])])
    }
  }
  const running = run().catch((error) => {
    if (!stop.signal.aborted) fail(error)
  })
  health.register(`lookup ${source}`, () => lane.report())

  return {
    async close() {
      stop.abort()
      await running.catch((error) => log.warn({ source, reason: messageOf(error) }, 'lane_ended'))
    },
  }
}

class Lane {
  readonly #o: LaneOptions
  readonly #signal: AbortSignal
  #unpublished: { tickets: Ticket[]; entities: PublishedEntity[] } | null = null
  #blockedUntil = 0
  #blockedBy: string | null = null
  #failuresInRow = 0
  #successes = 0
  #busySince: number | null = null

  constructor(options: LaneOptions, signal: AbortSignal) {
    this.#o = options
    this.#signal = signal
  }

  get blocked(): boolean {
    return this.#blockedUntil > Date.now()
  }

  report() {
    const busyMs = this.#busySince === null ? 0 : Date.now() - this.#busySince
    if (busyMs > stuckAfterMs) {
      return {
        alive: false,
        ready: false,
        detail: `a lookup has been in work for ${Math.round(busyMs / 1000)} s`,
      }
    }
    const until = new Date(this.#blockedUntil).toISOString()
    const detail = this.blocked ? `waits until ${until}: ${this.#blockedBy}` : 'working'
    return { alive: true, ready: this.#failuresInRow < 3, detail }
  }

  /** Does one thing. @returns milliseconds until there may be something to do; 0: at once */
  async step(): Promise<number> {
    const leftMs = this.#blockedUntil - Date.now()
    if (leftMs > 0) return leftMs
    this.#busySince = Date.now()
    try {
      return await (this.#unpublished ? this.#publish() : this.#ask())
    } catch (error) {
      if (this.#signal.aborted) return idleMs
      if (!isRetriable(error)) throw error
      this.#fail(messageOf(error))
      return 0
    } finally {
      this.#busySince = null
    }
  }

  async #ask(): Promise<number> {
    const { source, pool, provider, lingerMs, capabilities, lookup } = this.#o
    const refused = await capabilities.refused()
    this.#end(unanswerable(pool.open, { provider, refused }), 'dropped')
    const plan = planBatch(pool.open, { source, provider, refused, lingerMs, now: Date.now() })
    if (plan.type === 'wait') return plan.forMs ?? idleMs
    const { kind } = plan
    const tickets = await this.#withoutAnswered(kind, plan.tickets)
    if (tickets.length === 0) return 0
    const ids = [...new Set(tickets.map((t) => t.wanted.id))]
    const looked = await lookup.look(kind, ids, this.#signal).catch((error): Looked => {
      if (isRetriable(error) || this.#signal.aborted) throw error
      this.#o.log.error({ err: error, source, kind, ids: ids.length }, 'lookup_bug')
      return { type: 'failed', reason: messageOf(error) }
    })
    await this.#take(looked, { kind, ids: ids.length, tickets })
    return 0
  }

  async #withoutAnswered(kind: MetadataKind, tickets: Ticket[]): Promise<Ticket[]> {
    const wanted = tickets.map((t) => t.wanted)
    const answered = await this.#o.readAnswered(kind, wanted)
    const known = tickets.filter((t) => answered.has(t.wanted.key))
    this.#end(known, 'known')
    return tickets.filter((t) => !known.includes(t))
  }

  async #take(looked: Looked, asked: { kind: MetadataKind; ids: number; tickets: Ticket[] }): Promise<void> {
    const { source, capabilities } = this.#o
    switch (looked.type) {
      case 'paused':
        return this.#block(Math.min(looked.forMs, pauseLookMs), looked.reason)
      case 'gated':
        return capabilities.refuse(looked.capability)
      case 'failed':
        return this.#giveUpOrRetry(asked.tickets, looked.reason)
      case 'answers': {
        this.#successes += 1
        this.#failuresInRow = 0
        if (source === 'spotify') await capabilities.confirm(asked.kind, asked.ids > 1)
        const { answers } = looked
        const told = asked.tickets.filter((t) => answers.has(t.wanted.id))
        for (const ticket of asked.tickets)
          if (!told.includes(ticket)) ticket.failures = Math.max(ticket.failures, aloneFrom)
        const wanted = new Map(told.map((t) => [t.wanted.id, t.wanted]))
        const entities = [...answers].flatMap(([id, answer]) => {
          const of = wanted.get(id)
          return of ? [{ wanted: of, answer, source }] : []
        })
        this.#unpublished = { tickets: told, entities }
        await this.#publish()
      }
    }
  }

  async #publish(): Promise<number> {
    if (!this.#unpublished) return 0
    const { tickets, entities } = this.#unpublished
    await this.#o.publish(entities)
    this.#unpublished = null
    const found = new Set(entities.filter((e) => e.answer.status === 200).map((e) => e.wanted.id))
    this.#end(
      tickets.filter((t) => found.has(t.wanted.id)),
      'found',
    )
    this.#end(
      tickets.filter((t) => !found.has(t.wanted.id)),
      'not_found',
    )
    return 0
  }

  #giveUpOrRetry(tickets: readonly Ticket[], reason: string): void {
    const hopeless = tickets.filter((t) => countFailure(t, this.#successes))
    const { source } = this.#o
    const message = `${source} answers others, but not this: ${reason}`
    this.#end(hopeless, 'failed', { reason: 'lookup_failed', message })
    this.#fail(reason)
  }

  #end(tickets: readonly Ticket[], result: string, deadLetter: Ticket['deadLetter'] = null): void {
    if (tickets.length === 0) return
    this.#o.pool.finish(tickets, deadLetter)
    for (const { wanted } of tickets) metrics.entitiesEnriched.inc({ kind: wanted.kind, result })
  }

  #fail(reason: string): void {
    this.#failuresInRow += 1
    this.#block(Math.min(1_000 * 2 ** (this.#failuresInRow - 1), backoffMaxMs), reason)
  }

  #block(forMs: number, reason: string): void {
    this.#blockedUntil = Date.now() + forMs
    this.#blockedBy = reason
    this.#o.log.warn({ source: this.#o.source, forMs, reason }, 'lookups_wait')
  }
}
