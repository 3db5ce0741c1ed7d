import { messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { metrics } from '../../lib/metrics.ts'
import type { DeferredLookups } from './deferred.ts'
import { smallerFrom } from './plan.ts'
import type { TicketPool } from './pool.ts'
import type { Source } from './route.ts'
import type { Ticket } from './ticket.ts'
import { afterFailure, countFailure, retryMs } from './ticket.ts'

export interface TicketEndsOptions {
  source: Source
  pool: TicketPool
  deferred: DeferredLookups
  log: Logger
}

/** Ends the tickets of one source (answered, dropped, given up, deferred) or has them tried again. */
export class TicketEnds {
  readonly #o: TicketEndsOptions

  constructor(options: TicketEndsOptions) {
    this.#o = options
  }

  /** @param result label of the metric `songswap_entities_enriched_total` */
  end(tickets: readonly Ticket[], result: string, deadLetter: Ticket['deadLetter'] = null): void {
    if (tickets.length === 0) return
    const { pool, deferred, log } = this.#o
    pool.finish(tickets, deadLetter)
    const kept = tickets.filter((t) => t.isDeferred)
    // If this fails, the lookup is due again later and its answer found stored then.
    const forgetting = kept.length > 0 ? deferred.forget(kept) : Promise.resolve()
    forgetting.catch((error) => log.warn({ reason: messageOf(error) }, 'deferred_not_forgotten'))
    countEnded(tickets, result)
  }

  /** These ids trigger a bug: a single one is given up, several are asked for again in smaller batches. */
  blameBug(tickets: readonly Ticket[], ids: readonly string[]): void {
    const message = 'A fault in the program: see lookup_bug in the log'
    if (ids.length === 1) this.end(tickets, 'failed', { reason: 'handler_error', message })
    this.askInSmaller(tickets)
  }

  /** Has tickets asked for again in a smaller batch. */
  askInSmaller(tickets: readonly Ticket[]): void {
    for (const ticket of tickets) ticket.attempts = Math.max(ticket.attempts + 1, smallerFrom)
  }

  /**
   * Retries failed tickets after seconds, then defers them, which frees their partition; or gives them up.
   *
   * @param health of the source before this failure; see {@link countFailure}
   */
  async fail(
    tickets: readonly Ticket[],
    reason: string,
    health: { successes: number; works: boolean },
  ): Promise<void> {
    const hopeless = tickets.filter((t) => countFailure(t, health))
    const message = `${this.#o.source} answers others, but not this: ${reason}`
    this.end(hopeless, 'failed', { reason: 'lookup_failed', message })
    const open = Map.groupBy(
      tickets.filter((t) => !hopeless.includes(t)),
      afterFailure,
    )
    const now = performance.now()
    for (const ticket of open.get('retry') ?? []) ticket.notBefore = now + retryMs(ticket.attempts)
    this.#forget(open.get('forget') ?? [], reason)
    await this.#defer(open.get('defer') ?? [])
  }

  async #defer(tickets: readonly Ticket[]): Promise<void> {
    if (tickets.length === 0) return
    await this.#o.deferred.defer(tickets)
    this.#o.pool.finish(tickets)
    countEnded(tickets, 'deferred')
  }

  /** Their records are settled already and cannot be dead-lettered, so the log names them. */
  #forget(tickets: readonly Ticket[], reason: string): void {
    const { source, log } = this.#o
    for (const { wanted, attempts } of tickets) {
      log.error({ source, key: wanted.key, attempts, reason }, 'lookup_forgotten')
    }
    this.end(tickets, 'failed')
  }
}

function countEnded(tickets: readonly Ticket[], result: string): void {
  for (const { wanted } of tickets) metrics.entitiesEnriched.inc({ kind: wanted.kind, result })
}
