import { metrics } from '../../lib/metrics.ts'
import type { Ticket } from './ticket.ts'

/** All requests in hand of this process, from every partition, so that they can share batches. */
export class TicketPool {
  readonly #tickets = new Set<Ticket>()
  #changed = Promise.withResolvers<void>()

  get open(): Iterable<Ticket> {
    return this.#tickets
  }

  add(tickets: readonly Ticket[]): void {
    for (const ticket of tickets) this.#tickets.add(ticket)
    this.#notify()
  }

  /** Ends tickets, in place. */
  finish(tickets: readonly Ticket[], deadLetter: Ticket['deadLetter'] = null): void {
    for (const ticket of tickets) {
      ticket.state = 'done'
      ticket.deadLetter = deadLetter
      this.#tickets.delete(ticket)
    }
    this.#notify()
  }

  /** Takes back what is open: the partition was lost, its next owner asks. */
  withdraw(tickets: readonly Ticket[]): void {
    for (const ticket of tickets) this.#tickets.delete(ticket)
    this.#notify()
  }

  /** Resolves at the next addition or end of a ticket. */
  get changed(): Promise<void> {
    return this.#changed.promise
  }

  #notify(): void {
    metrics.metadataWaiting.set(this.#tickets.size)
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }
}
