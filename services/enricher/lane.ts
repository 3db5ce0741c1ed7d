import { exponentialMs, pause } from '../../lib/backoff.ts'
import { isRecordFault, messageOf } from '../../lib/errors.ts'
import type { Health } from '../../lib/health.ts'
import type { Logger } from '../../lib/log.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Outages, Waiter } from '../../lib/outages.ts'
import type { Resource } from '../../lib/scope.ts'
import type { MetadataKind } from '../../lib/topology.ts'
import type { CapabilityWatch } from './capability-watch.ts'
import type { DeferredLookups } from './deferred.ts'
import type { EntityAnswer, Looked, Lookup } from './lookup.ts'
import { planBatch, smallerFrom, unanswerable } from './plan.ts'
import type { TicketPool } from './pool.ts'
import type { PublishedEntity } from './publish.ts'
import type { FeaturesProvider, Source } from './route.ts'
import type { Ticket } from './ticket.ts'
import { afterFailure, countFailure, retryMs } from './ticket.ts'
import type { Wanted } from './wanted.ts'

export interface LaneOptions {
  source: Source
  lookup: Lookup
  pool: TicketPool
  capabilities: CapabilityWatch
  deferred: DeferredLookups
  provider: FeaturesProvider
  lingerMs: number
  readAnswered: (kind: MetadataKind, wanted: readonly Wanted[]) => Promise<Set<string>>
  publish: (entities: readonly PublishedEntity[]) => Promise<void>
  /** Told of what fails and what works. */
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
/** A pause is looked at again in this time, in case somebody has lifted it. */
const pauseLookMs = 600_000
/** Each attempt at a source that is away costs a request of the budget; one at our own servers costs nothing. */
const sourceBackoffMaxMs = 300_000
const serverBackoffMaxMs = 15_000
const stuckAfterMs = 300_000
/** One request in so many is for what failed before. */
const failedEvery = 10

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
      const seen = pool.version
      const withinMs = await lane.step()
      if (withinMs === 0) continue
      // A pause is not shortened by what arrives meanwhile.
      if (lane.blocked) await pause(withinMs, stop.signal)
      else await pool.waitForChange(seen, { withinMs, signal: stop.signal })
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
  readonly #waiter: Waiter
  #unpublished: { tickets: Ticket[]; entities: PublishedEntity[] } | null = null
  #blockedUntil = 0
  #blockedBy: string | null = null
  #failuresInRow = 0
  #successes = 0
  #asks = 0
  #busySince: number | null = null

  constructor(options: LaneOptions, signal: AbortSignal) {
    this.#o = options
    this.#signal = signal
    this.#waiter = { name: `enricher, lookups at ${options.source}`, place: null }
  }

  get blocked(): boolean {
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
    const detail = this.blocked ? `waits until ${until}: ${this.#blockedBy}` : 'working'
    return { alive: true, ready: this.#failuresInRow < 3, detail }
  }

  /** Does one thing. @returns milliseconds until there may be something to do; 0: at once */
  async step(): Promise<number> {
    const leftMs = this.#blockedUntil - performance.now()
    if (leftMs > 0) return leftMs
    this.#busySince = performance.now()
    try {
      const withinMs = await (this.#unpublished ? this.#publish() : this.#ask())
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

  async #ask(): Promise<number> {
    const { source, pool, provider, lingerMs, capabilities } = this.#o
    const refused = await capabilities.refused()
    this.#end(unanswerable(pool.open, { provider, refused }), 'dropped')
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
    const tickets = await this.#withoutAnswered(kind, plan.tickets)
    if (tickets.length === 0) return 0
    const ids = [...new Set(tickets.map((t) => t.wanted.id))]
    const looked = await this.#look(kind, ids)
    if (looked) await this.#take(looked, { kind, ids, tickets })
    else this.#blameBug(tickets, ids)
    return 0
  }

  /** null: a bug, which these ids bring about. */
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

  async #withoutAnswered(kind: MetadataKind, tickets: Ticket[]): Promise<Ticket[]> {
    const wanted = tickets.map((t) => t.wanted)
    const answered = await this.#o.readAnswered(kind, wanted)
    const known = tickets.filter((t) => answered.has(t.wanted.key))
    this.#end(known, 'known')
    return tickets.filter((t) => !known.includes(t))
  }

  async #take(looked: Looked, asked: Asked): Promise<void> {
    const { source, capabilities } = this.#o
    switch (looked.type) {
      case 'paused':
        return this.#block(Math.min(looked.forMs, pauseLookMs), looked.reason)
      case 'gated':
        return capabilities.refuse(looked.capability)
      case 'failed':
        return this.#giveUpOrRetry(asked.tickets, looked.reason)
      case 'answers':
        this.#successes += 1
        this.#failuresInRow = 0
        this.#keep(looked.answers, asked.tickets)
        await this.#publish()
        if (source === 'spotify') await capabilities.confirm(asked.kind, asked.ids.length > 1)
    }
  }

  #keep(answers: ReadonlyMap<string, EntityAnswer>, tickets: readonly Ticket[]): void {
    const answered = tickets.filter((t) => answers.has(t.wanted.id))
    for (const ticket of tickets) {
      if (!answered.includes(ticket)) ticket.attempts = Math.max(ticket.attempts + 1, smallerFrom)
    }
    const byId = new Map(answered.map((t) => [t.wanted.id, t.wanted]))
    const entities = [...byId].flatMap(([id, wanted]) => {
      const answer = answers.get(id)
      return answer ? [{ wanted, answer, source: this.#o.source }] : []
    })
    this.#unpublished = { tickets: answered, entities }
  }

  async #publish(): Promise<number> {
    if (!this.#unpublished) return 0
    const { tickets, entities } = this.#unpublished
    const unfit = await this.#publishAll(entities)
    this.#unpublished = null
    const found = new Set(entities.filter((e) => e.answer.status === 200).map((e) => e.wanted.id))
    const byResult = Map.groupBy(tickets, ({ wanted: { id } }) =>
      unfit.has(id) ? 'failed' : found.has(id) ? 'found' : 'not_found',
    )
    this.#end(byResult.get('found') ?? [], 'found')
    this.#end(byResult.get('not_found') ?? [], 'not_found')
    const message = 'The answer does not fit into the topic'
    this.#end(byResult.get('failed') ?? [], 'failed', { reason: 'lookup_failed', message })
    return 0
  }

  /** @returns ids whose answer Kafka refuses for good; they must not hold up the others */
  async #publishAll(entities: readonly PublishedEntity[]): Promise<Set<string>> {
    const { publish, log } = this.#o
    try {
      await publish(entities)
      return new Set()
    } catch (error) {
      if (!isRecordFault(error)) throw error
      if (entities.length === 1) {
        log.error({ err: error, key: entities[0]?.wanted.key }, 'answer_refused')
        return new Set(entities.map((e) => e.wanted.id))
      }
      const unfit: string[] = []
      for (const entity of entities) unfit.push(...(await this.#publishAll([entity])))
      return new Set(unfit)
    }
  }

  #blameBug(tickets: readonly Ticket[], ids: readonly string[]): void {
    const message = 'A fault in the program: see lookup_bug in the log'
    if (ids.length === 1) this.#end(tickets, 'failed', { reason: 'handler_error', message })
    for (const ticket of tickets) ticket.attempts = Math.max(ticket.attempts + 1, smallerFrom)
  }

  /** What fails is tried again in seconds, then deferred, which frees its partition; or given up. */
  async #giveUpOrRetry(tickets: readonly Ticket[], reason: string): Promise<void> {
    const { source, deferred } = this.#o
    const health = { successes: this.#successes, works: this.#failuresInRow === 0 }
    const hopeless = tickets.filter((t) => countFailure(t, health))
    const message = `${source} answers others, but not this: ${reason}`
    this.#end(hopeless, 'failed', { reason: 'lookup_failed', message })
    this.#fail(reason, sourceBackoffMaxMs)
    const open = Map.groupBy(
      tickets.filter((t) => !hopeless.includes(t)),
      afterFailure,
    )
    const now = performance.now()
    for (const ticket of open.get('retry') ?? []) ticket.notBefore = now + retryMs(ticket.attempts)
    this.#forget(open.get('forget') ?? [], reason)
    const deferring = open.get('defer') ?? []
    if (deferring.length === 0) return
    await deferred.defer(deferring)
    this.#o.pool.finish(deferring)
    for (const { wanted } of deferring)
      metrics.entitiesEnriched.inc({ kind: wanted.kind, result: 'deferred' })
  }

  /** Their records are settled long ago, so there is nothing to dead-letter: the log names them. */
  #forget(tickets: readonly Ticket[], reason: string): void {
    const { source, log } = this.#o
    for (const { wanted, attempts } of tickets) {
      log.error({ source, key: wanted.key, attempts, reason }, 'lookup_forgotten')
    }
    this.#end(tickets, 'failed')
  }

  #end(tickets: readonly Ticket[], result: string, deadLetter: Ticket['deadLetter'] = null): void {
    if (tickets.length === 0) return
    const { pool, deferred, log } = this.#o
    pool.finish(tickets, deadLetter)
    const kept = tickets.filter((t) => t.isDeferred)
    // One that is not forgotten is asked for again, and found answered then.
    const forgetting = kept.length > 0 ? deferred.forget(kept) : Promise.resolve()
    forgetting.catch((error) => log.warn({ reason: messageOf(error) }, 'deferred_not_forgotten'))
    for (const { wanted } of tickets) metrics.entitiesEnriched.inc({ kind: wanted.kind, result })
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
