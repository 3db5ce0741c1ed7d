import { isRecordFault, messageOf, RetriableError, serverOf } from './errors.ts'
import type { EventType, Notice } from './events.ts'
import type { HealthReport } from './health.ts'
import { scrub } from './log.ts'

type OutageType = Extract<EventType, 'dependency_down' | 'partition_unreadable' | 'record_held_up'>

/** Who waits for an outage to end: a consumer group or a part of a service, and which of its partitions. */
export interface Waiter {
  name: string
  /** `topic/partition`, or null where there are none. */
  place: string | null
  /** What it waits for; absent: a server. */
  type?: OutageType
}

/** A record that fails by itself although its server answers. */
export interface HeldUpRecord {
  offset: number
  /** What its server says. */
  words: string
  message: string
  details: Record<string, string>
}

interface Outage {
  type: OutageType
  subject: string
  /** Since when each of them waits, in milliseconds of a clock that never goes back. */
  waiters: Map<string, { waiter: Waiter; since: number }>
  words: string
  /** Of the type `record_held_up`. */
  record: HeldUpRecord | null
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

/**
 * How often a lasting outage is reported again; a process that is silent for three times as long is taken for dead.
 * The next member of a partition names the record that holds it up only after a quarter of an hour.
 */
const repeatMs: Record<OutageType, number> = {
  dependency_down: 300_000,
  partition_unreadable: 300_000,
  record_held_up: 600_000,
}

/** How an outage ends for one process. `moved`: its partition is another member's now. */
type End = 'works' | 'moved' | 'stopped'

/**
 * What this process waits for, by server, unreadable partition or record that holds up its partition: one event when
 * that has lasted, repeated while it lasts, and one when it is over, or when this process does not see the end, because
 * it stops or the partition moves. An outage of a server is over when nobody waits for it any more; a partition that
 * moves does not count here, but only work that succeeds ends what was raised.
 */
export class Outages {
  readonly #o: OutagesOptions & { now: () => number }
  /** By type and subject. */
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
    const outage = this.#outageOf(waiter, error)
    outage.words = scrub(messageOf(error) || String(error))
    const isDue = outage.reports === 0 ? this.#lastsMs(outage) >= this.#o.afterMs : this.#isRepeatDue(outage)
    if (isDue) this.#raise(outage)
  }

  /** A record holds up the waiter's partition. Called at each of its attempts; reported at once. */
  heldUp(waiter: Waiter, record: HeldUpRecord): void {
    const outage = this.#outageOf({ ...waiter, type: 'record_held_up' })
    outage.record = record
    outage.words = record.words
    if (outage.reports === 0 || this.#isRepeatDue(outage)) this.#raise(outage)
  }

  /** The waiter's partition is settled through an offset: a record that held it up there does so no more. */
  passed(waiter: Waiter, offset: number): void {
    for (const { type, record, waiters } of this.#outages.values()) {
      const heldUp: Waiter = { ...waiter, type }
      if (record && record.offset <= offset && waiters.has(keyOf(heldUp))) this.worked(heldUp)
    }
  }

  /**
   * The waiter waits for nothing.
   *
   * @param isProof it has done its work, and not only nothing: this also ends an outage of a server whose waiters
   *   have all gone elsewhere
   */
  worked(waiter: Waiter, isProof = false): void {
    for (const outage of this.#outages.values()) {
      const hasWaited = outage.waiters.delete(keyOf(waiter))
      const isProven = isProof && outage.type === 'dependency_down'
      if (outage.waiters.size === 0 && (hasWaited || isProven)) this.#end(outage, 'works')
    }
  }

  /** Forgets those partitions of a group that are not this process's any more. */
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

  /** The process stops, and sees no end of what lasts. */
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

  /** Nothing is published of what was never raised. */
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

/** Whether what was thrown says itself when to come again. */
export function isAppointed(error: unknown): boolean {
  return error instanceof RetriableError && error.retryAfterMs !== null
}

function keyOf({ name, place, type = 'dependency_down' }: Waiter): string {
  return `${name} ${place ?? ''} ${type}`
}

function toSeconds(ms: number): number {
  return Math.round(ms / 1000)
}
