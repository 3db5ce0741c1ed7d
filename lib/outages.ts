import { isRecordFault, messageOf, RetriableError, serverOf } from './errors.ts'
import type { EventType, Notice } from './events.ts'
import type { HealthReport } from './health.ts'
import { scrub } from './log.ts'

/** Who waits for an outage to end: a consumer group or a part of a service, and which of its partitions. */
export interface Waiter {
  name: string
  /** `topic/partition`; null where there are none. */
  place: string | null
  /** It waits for the records themselves, which cannot be read. */
  isReading?: boolean
}

interface Outage {
  type: EventType
  /** Since when each of them waits, in milliseconds of a clock that never goes back. */
  waiters: Map<string, { waiter: Waiter; since: number }>
  words: string
  /** How often it was reported, and when last. */
  reports: number
  reportedAt: number
}

export interface OutagesOptions {
  /** How long a server must fail before an event says so. */
  afterMs: number
  /** Name of this process, of no other one now or later. */
  instance: string
  notify: (notice: Notice) => void
  /** A clock in milliseconds that never goes back. */
  now?: () => number
}

/** How often a lasting outage is reported again: who reports nothing for much longer has ended without a word. */
const repeatMs = 300_000

/**
 * What this process waits for, by server or unreadable partition: one event when one has failed for long, repeated
 * while that lasts, and one when it is over, or when this process stops and does not see the end. An outage is over
 * when none waits for it any more. A partition that is taken away in between waits elsewhere; it counts as
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
    const { type, subject } = toSubject(waiter, error)
    const none = { type, waiters: new Map(), words: '', reports: 0, reportedAt: 0 }
    const outage = this.#outages.get(subject) ?? none
    this.#outages.set(subject, outage)
    const key = keyOf(waiter)
    if (!outage.waiters.has(key)) outage.waiters.set(key, { waiter, since: this.#o.now() })
    outage.words = scrub(messageOf(error) || String(error))
    const isFirst = outage.reports === 0
    const isDue = isFirst
      ? this.#lasts(outage) >= this.#o.afterMs
      : this.#o.now() - outage.reportedAt >= repeatMs
    if (isDue) this.#raise(subject, outage)
  }

  /**
   * The waiter waits for nothing.
   *
   * @param isProof it has done its work, and not only nothing: this also ends an outage of a server whose waiters
   *   have all gone elsewhere
   */
  worked(waiter: Waiter, isProof = false): void {
    for (const [subject, outage] of this.#outages) {
      const hasWaited = outage.waiters.delete(keyOf(waiter))
      const isProven = isProof && outage.type === 'dependency_down'
      if (outage.waiters.size === 0 && (hasWaited || isProven)) this.#end(subject, outage)
    }
  }

  /** Forgets those partitions of a group that are not this process's any more. */
  keep(name: string, places: readonly string[]): void {
    for (const [subject, outage] of this.#outages) {
      for (const [key, { waiter }] of outage.waiters) {
        const isGone = waiter.name === name && waiter.place !== null && !places.includes(waiter.place)
        if (isGone) outage.waiters.delete(key)
      }
      if (outage.waiters.size === 0 && outage.reports === 0) this.#outages.delete(subject)
    }
  }

  /** For `/readyz`. */
  report(): HealthReport {
    const lasting = [...this.#outages].filter(([, outage]) => outage.waiters.size > 0)
    const lines = lasting.map(
      ([subject, o]) => `${subject} fails for ${toSeconds(this.#lasts(o))} s: ${o.words}`,
    )
    const ready = !lasting.some(([, outage]) => outage.reports > 0)
    return { alive: true, ready, detail: lines.join('; ') || 'all that is needed works' }
  }

  #lasts({ waiters }: Outage): number {
    return this.#o.now() - Math.min(...[...waiters.values()].map(({ since }) => since))
  }

  #raise(subject: string, outage: Outage): void {
    const seconds = toSeconds(this.#lasts(outage))
    const waiting = [...new Set([...outage.waiters.values()].map(({ waiter }) => waiter.name))]
      .sort()
      .join(', ')
    const { type, words, reports } = outage
    outage.reports += 1
    outage.reportedAt = this.#o.now()
    const message =
      type === 'dependency_down'
        ? `${subject} has failed for ${seconds} s: ${words}. Waiting and trying again: ${waiting}. Nothing is lost or dead-lettered meanwhile.`
        : `${waiting} has not been able to read ${words} for ${seconds} s. It tries again, and goes past nothing: what lies behind it in the partition waits.`
    this.#notify(subject, outage, {
      severity: 'critical',
      message,
      details: {
        ...{ words, waiting, seconds: String(seconds), repeatSeconds: String(toSeconds(repeatMs)) },
        ...(reports > 0 && { repeated: String(reports) }),
      },
    })
  }

  #end(subject: string, outage: Outage): void {
    this.#outages.delete(subject)
    const message = `${subject} works again.`
    this.#notify(subject, outage, { severity: 'info', state: 'resolved', message, details: { end: 'works' } })
  }

  /** The process stops, and sees no end of what lasts. */
  close(): void {
    for (const [subject, outage] of this.#outages) {
      const message = `${this.#o.instance} stops. Whether ${subject} works again is not known.`
      const details = { end: 'stopped' }
      this.#notify(subject, outage, { severity: 'info', state: 'resolved', message, details })
    }
    this.#outages.clear()
  }

  /** Nothing is published of what was never raised. */
  #notify(subject: string, { type, reports }: Outage, notice: Omit<Notice, 'type' | 'subject'>): void {
    if (reports === 0) return
    const details = { ...notice.details, instance: this.#o.instance }
    this.#o.notify({ ...notice, type, subject, details })
  }
}

function toSubject({ name, place, isReading }: Waiter, error: unknown): { type: EventType; subject: string } {
  if (isReading) return { type: 'partition_unreadable', subject: `partition:${name}/${place}` }
  const server = serverOf(error)
  return { type: 'dependency_down', subject: server ? `server:${server.name}` : `group:${name}` }
}

/** Whether what was thrown says itself when to come again. */
export function isAppointed(error: unknown): boolean {
  return error instanceof RetriableError && error.retryAfterMs !== null
}

function keyOf({ name, place, isReading = false }: Waiter): string {
  return `${name} ${place ?? ''} ${isReading}`
}

function toSeconds(ms: number): number {
  return Math.round(ms / 1000)
}
