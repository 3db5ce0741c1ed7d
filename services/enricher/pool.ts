import { metrics } from '../../lib/metrics.ts'
import type { Ticket } from './ticket.ts'

/** The open tickets of all partitions of this process, so that they can share batches. */
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

  /** Marks tickets as done and removes them. */
  finish(tickets: readonly Ticket[], deadLetter: Ticket['deadLetter'] = null): void {
    for (const ticket of tickets) {
      ticket.state = 'done'
      ticket.deadLetter = deadLetter
      this.#tickets.delete(ticket)
    }
    this.#notify()
  }

  /** Removes the tickets of a lost partition; its next owner asks for them. */
  withdraw(tickets: readonly Ticket[]): void {
    for (const ticket of tickets) this.#tickets.delete(ticket)
    this.#notify()
  }

  /** Grows with every change of the pool. */
  get version(): number {
    return this.#version
  }

  /** Resolves when the version differs from `seen`, after `withinMs`, or when the signal aborts. */
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
