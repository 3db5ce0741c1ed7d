import { isRecordFault, messageOf, RetriableError, serverOf } from './errors.ts'
import type { EventType, Notice } from './events.ts'
import type { HealthReport } from './health.ts'
import { scrub } from './log.ts'

type OutageType = Extract<EventType, 'dependency_down' | 'partition_unreadable' | 'record_held_up'>

/** A part of the process that waits for an outage to end: a partition of a consumer group, or a part of a service. */
export interface Waiter {
  name: string
  /** `topic/partition`, or null for the whole group or a part of a service. */
  place: string | null
  /** The kind of outage; default: of a server. */
  type?: OutageType
}

/** A record that fails by itself although its server answers. */
export interface HeldUpRecord {
  offset: number
  /** The server's error. */
  words: string
  message: string
  details: Record<string, string>
}

interface Outage {
  type: OutageType
  subject: string
  /** The waiters, and since when each waits, in milliseconds of a monotonic clock. */
  waiters: Map<string, { waiter: Waiter; since: number }>
  words: string
  /** Null except for the type `record_held_up`. */
  record: HeldUpRecord | null
  /** How often it was reported. */
  reports: number
  reportedAt: number
}

export interface OutagesOptions {
  /** How long a server must fail before an event reports it. */
  afterMs: number
  /** Name of this process; no other process ever has it. */
  instance: string
  notify: (notice: Notice) => void
  /** A monotonic clock in milliseconds. */
  now?: () => number
}

/**
 * How often a lasting outage is reported again. A process that is silent for three times as long counts as dead. A
 * record that holds up its partition has a longer time, because the partition's next member needs a quarter of an
 * hour to find it.
 */
const repeatMs: Record<OutageType, number> = {
  dependency_down: 300_000,
  partition_unreadable: 300_000,
  record_held_up: 600_000,
}

/** How an outage ends for one process. `moved`: its partition belongs to another member. */
type End = 'works' | 'moved' | 'stopped'

/**
 * The outages that this process waits out: of a server, of an unreadable partition, or of a partition that a record
 * holds up. Each is raised with one event when it has lasted for some minutes (a record at once), repeated while it
 * lasts, and resolved with one event when it ends, or when this process cannot see its end, because the process stops
 * or the partition moves.
 *
 * An outage of a server ends when its last waiter works again. If the waiting partitions move away instead, an outage
 * that was raised stays so until some work succeeds.
 */
export class Outages {
  readonly #o: OutagesOptions & { now: () => number }
  /** By type and subject. */
  readonly #outages = new Map<string, Outage>()

  constructor(options: OutagesOptions) {
    this.#o = { now: () => performance.now(), ...options }
  }

  /**
   * Called when an effect of the waiter has failed. A wait with a known end, as for a rate limit, does not count as an
   * outage; nor does the refusal of a record, because the server answers.
   */
  failed(waiter: Waiter, error: unknown): void {
    if (isAppointed(error)) return
    if (isRecordFault(error)) {
      this.worked(waiter)
      return
    }
    const outage = this.#outageOf(waiter, error)
    outage.words = scrub(messageOf(error) || String(error))
    const isDue = outage.reports === 0 ? this.#lastsMs(outage) >= this.#o.afterMs : this.#isRepeatDue(outage)
    if (isDue) this.#raise(outage)
  }

  /** Called at each failed attempt of a record that holds up the waiter's partition. Reports it at once. */
  heldUp(waiter: Waiter, record: HeldUpRecord): void {
    const outage = this.#outageOf({ ...waiter, type: 'record_held_up' })
    outage.record = record
    outage.words = record.words
    if (outage.reports === 0 || this.#isRepeatDue(outage)) this.#raise(outage)
  }

  /** Called when the waiter's partition is settled through an offset: a record up to there no longer holds it up. */
  passed(waiter: Waiter, offset: number): void {
    for (const { type, record, waiters } of this.#outages.values()) {
      const heldUp: Waiter = { ...waiter, type }
      if (record && record.offset <= offset && waiters.has(keyOf(heldUp))) this.worked(heldUp)
    }
  }

  /**
   * Called when the waiter no longer waits.
   *
   * @param isProof whether it has done real work: this also ends an outage of a server whose waiters have all moved
   *   away
   */
  worked(waiter: Waiter, isProof = false): void {
    for (const outage of this.#outages.values()) {
      const hasWaited = outage.waiters.delete(keyOf(waiter))
      const isProven = isProof && outage.type === 'dependency_down'
      if (outage.waiters.size === 0 && (hasWaited || isProven)) this.#end(outage, 'works')
    }
  }

  /** Forgets the partitions of a group that this process no longer has. */
  keep(name: string, places: readonly string[]): void {
    for (const outage of this.#outages.values()) {
      for (const [key, { waiter }] of outage.waiters) {
        const isGone = waiter.name === name && waiter.place !== null && !places.includes(waiter.place)
        if (isGone) outage.waiters.delete(key)
      }
      const isOfServer = outage.type === 'dependency_down' && outage.reports > 0
      if (outage.waiters.size === 0 && !isOfServer) this.#end(outage, 'moved')
    }
  }

  /** For `/readyz`. */
  report(): HealthReport {
    const lasting = [...this.#outages.values()].filter(({ waiters }) => waiters.size > 0)
    const lines = lasting.map((o) => `${o.subject} fails for ${toSeconds(this.#lastsMs(o))} s: ${o.words}`)
    const ready = !lasting.some(({ reports }) => reports > 0)
    return { alive: true, ready, detail: lines.join('; ') || 'all that is needed works' }
  }

  /** Called when the process stops: it cannot see the end of outages that last. */
  close(): void {
    for (const outage of this.#outages.values()) this.#end(outage, 'stopped')
  }

  #outageOf(waiter: Waiter, error?: unknown): Outage {
    const { type, subject } = toSubject(waiter, error)
    const key = `${type} ${subject}`
    const none = { type, subject, waiters: new Map(), words: '', record: null, reports: 0, reportedAt: 0 }
    const outage: Outage = this.#outages.get(key) ?? none
    this.#outages.set(key, outage)
    const { waiters } = outage
    if (!waiters.has(keyOf(waiter))) waiters.set(keyOf(waiter), { waiter, since: this.#o.now() })
    return outage
  }

  #isRepeatDue({ type, reportedAt }: Outage): boolean {
    return this.#o.now() - reportedAt >= repeatMs[type]
  }

  #lastsMs({ waiters }: Outage): number {
    return this.#o.now() - Math.min(...[...waiters.values()].map(({ since }) => since))
  }

  #raise(outage: Outage): void {
    const seconds = toSeconds(this.#lastsMs(outage))
    const names = [...outage.waiters.values()].map(({ waiter }) => waiter.name)
    const waiting = [...new Set(names)].sort().join(', ')
    const { words, record, reports } = outage
    outage.reports += 1
    outage.reportedAt = this.#o.now()
    this.#notify(outage, {
      severity: 'critical',
      message: record?.message ?? toMessage(outage, { seconds, waiting }),
      details: {
        ...(record?.details ?? { words, waiting, seconds: String(seconds) }),
        ...(reports > 0 && { repeated: String(reports) }),
      },
    })
  }

  #end(outage: Outage, end: End): void {
    this.#outages.delete(`${outage.type} ${outage.subject}`)
    const message = toEndMessage(outage, end, this.#o.instance)
    this.#notify(outage, { severity: 'info', state: 'resolved', message, details: { end } })
  }

  /** Publishes nothing about an outage that was never raised. */
  #notify({ type, subject, reports }: Outage, notice: Omit<Notice, 'type' | 'subject'>): void {
    if (reports === 0) return
    const repeatSeconds = String(toSeconds(repeatMs[type]))
    const details = { ...notice.details, repeatSeconds, instance: this.#o.instance }
    this.#o.notify({ ...notice, type, subject, details })
  }
}

function toSubject(waiter: Waiter, error: unknown): Pick<Outage, 'type' | 'subject'> {
  const { name, place, type = 'dependency_down' } = waiter
  if (type !== 'dependency_down') return { type, subject: `partition:${name}/${place}` }
  const server = serverOf(error)
  return { type, subject: server ? `server:${server.name}` : `group:${name}` }
}

function toMessage({ type, subject, words }: Outage, of: { seconds: number; waiting: string }): string {
  return type === 'dependency_down'
    ? `${subject} has failed for ${of.seconds} s: ${words}. Waiting and trying again: ${of.waiting}. Nothing is lost or dead-lettered meanwhile.`
    : `${of.waiting} has not been able to read ${words} for ${of.seconds} s. It tries again, and goes past nothing: what lies behind it in the partition waits.`
}

function toEndMessage({ subject, record }: Outage, end: End, instance: string): string {
  if (end === 'moved')
    return `${instance} no longer has the partition. Its next member reports if it still waits.`
  if (end === 'stopped') return `${instance} stops. Whether ${subject} works again is not known.`
  return record ? `${subject} is past offset ${record.offset}.` : `${subject} works again.`
}

/** Whether an error holds the time of the next try. */
export function isAppointed(error: unknown): boolean {
  return error instanceof RetriableError && error.retryAfterMs !== null
}

function keyOf({ name, place, type = 'dependency_down' }: Waiter): string {
  return `${name} ${place ?? ''} ${type}`
}

function toSeconds(ms: number): number {
  return Math.round(ms / 1000)
}
