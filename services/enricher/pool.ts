import { metrics } from '../../lib/metrics.ts'
import type { Ticket } from './ticket.ts'

/** All requests in hand of this process, from every partition, so that they can share batches. */
export class TicketPool {
  readonly #tickets = new Set<Ticket>()
  readonly #waiting = new Set<() => void>()
  #version = 0

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

  /** Grows with every addition and end of a ticket. */
  get version(): number {
    return this.#version
  }

  /** Resolves when the version is not `seen` any more, after `withinMs`, or when the signal is aborted. */
  async waitForChange(seen: number, options: { withinMs: number; signal: AbortSignal }): Promise<void> {
    const { withinMs, signal } = options
    if (this.#version !== seen || signal.aborted) return
    const woken = Promise.withResolvers<void>()
    const wake = () => woken.resolve()
    const timer = setTimeout(wake, withinMs)
    signal.addEventListener('abort', wake)
    this.#waiting.add(wake)
    await woken.promise
    clearTimeout(timer)
    signal.removeEventListener('abort', wake)
    this.#waiting.delete(wake)
  }

  #notify(): void {
    metrics.metadataWaiting.set(this.#tickets.size)
    this.#version += 1
    for (const wake of this.#waiting) wake()
  }
}
