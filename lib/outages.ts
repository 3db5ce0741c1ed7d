import { isRecordFault, messageOf, RetriableError, serverOf } from './errors.ts'
import type { Notice } from './events.ts'
import type { HealthReport } from './health.ts'
import { scrub } from './log.ts'

/** Who waits for an outage to end: a consumer group or a part of a service, and which of its partitions. */
export interface Waiter {
  name: string
  /** `topic/partition`; null where there are none. */
  place: string | null
}

interface Outage {
  /** Since when each of them waits, in milliseconds of a clock that never goes back. */
  waiters: Map<string, { waiter: Waiter; since: number }>
  words: string
  isRaised: boolean
}

export interface OutagesOptions {
  /** How long a server must fail before an event says so. */
  afterMs: number
  notify: (notice: Notice) => void
  /** A clock in milliseconds that never goes back. */
  now?: () => number
}

/**
 * What this process waits for, by server: one event when one has failed for long, and one when it is over. An outage
 * is over when none waits for it any more. A partition that is taken away in between waits elsewhere; it counts as
 * gone here, but only work that succeeds ends what was raised.
 */
export class Outages {
  readonly #o: OutagesOptions & { now: () => number }
  readonly #outages = new Map<string, Outage>()

  constructor(options: OutagesOptions) {
    this.#o = { now: () => performance.now(), ...options }
  }

  /**
   * An effect of the waiter has failed. A wait that says its own end, as for a rate limit, is no outage, nor is the
   * refusal of what was sent: the server answers.
   */
  failed(waiter: Waiter, error: unknown): void {
    if (isAppointed(error)) return
    if (isRecordFault(error)) {
      this.worked(waiter)
      return
    }
    const server = serverOf(error)
    const subject = server ? `server:${server.name}` : `group:${waiter.name}`
    const outage = this.#outages.get(subject) ?? { waiters: new Map(), words: '', isRaised: false }
    this.#outages.set(subject, outage)
    const key = keyOf(waiter)
    if (!outage.waiters.has(key)) outage.waiters.set(key, { waiter, since: this.#o.now() })
    outage.words = scrub(messageOf(error) || String(error))
    if (!outage.isRaised && this.#lasts(outage) >= this.#o.afterMs) this.#raise(subject, outage)
  }

  /**
   * The waiter waits for nothing.
   *
   * @param isProof it has done its work, and not only nothing: this also ends an outage whose waiters have all gone
   *   elsewhere
   */
  worked(waiter: Waiter, isProof = false): void {
    for (const [subject, outage] of this.#outages) {
      const hasWaited = outage.waiters.delete(keyOf(waiter))
      if (outage.waiters.size === 0 && (hasWaited || isProof)) this.#end(subject, outage)
    }
  }

  /** Forgets those partitions of a group that are not this process's any more. */
  keep(name: string, places: readonly string[]): void {
    for (const [subject, outage] of this.#outages) {
      for (const [key, { waiter }] of outage.waiters) {
        const isGone = waiter.name === name && waiter.place !== null && !places.includes(waiter.place)
        if (isGone) outage.waiters.delete(key)
      }
      if (outage.waiters.size === 0 && !outage.isRaised) this.#outages.delete(subject)
    }
  }

  /** For `/readyz`. */
  report(): HealthReport {
    const lasting = [...this.#outages].filter(([, outage]) => outage.waiters.size > 0)
    const lines = lasting.map(
      ([subject, o]) => `${subject} fails for ${toSeconds(this.#lasts(o))} s: ${o.words}`,
    )
    const ready = !lasting.some(([, outage]) => outage.isRaised)
    return { alive: true, ready, detail: lines.join('; ') || 'all that is needed works' }
  }

  #lasts({ waiters }: Outage): number {
    return this.#o.now() - Math.min(...[...waiters.values()].map(({ since }) => since))
  }

  #raise(subject: string, outage: Outage): void {
    outage.isRaised = true
    const seconds = toSeconds(this.#lasts(outage))
    const waiting = [...new Set([...outage.waiters.values()].map(({ waiter }) => waiter.name))].sort()
    this.#o.notify({
      type: 'dependency_down',
      subject,
      severity: 'critical',
      message: `${subject} has failed for ${seconds} s: ${outage.words}. Waiting and trying again: ${waiting.join(', ')}. Nothing is lost or dead-lettered meanwhile.`,
      details: { words: outage.words, seconds: String(seconds), waiting: waiting.join(', ') },
    })
  }

  #end(subject: string, outage: Outage): void {
    this.#outages.delete(subject)
    if (!outage.isRaised) return
    this.#o.notify({
      type: 'dependency_down',
      subject,
      severity: 'info',
      state: 'resolved',
      message: `${subject} works again.`,
    })
  }
}

/** Whether what was thrown says itself when to come again. */
export function isAppointed(error: unknown): boolean {
  return error instanceof RetriableError && error.retryAfterMs !== null
}

function keyOf({ name, place }: Waiter): string {
  return `${name} ${place ?? ''}`
}

function toSeconds(ms: number): number {
  return Math.round(ms / 1000)
}
