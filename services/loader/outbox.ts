import { checkpoint } from '../../lib/checkpoint.ts'
import { messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { Outages } from '../../lib/outages.ts'
import type { Postgres, Sql } from '../../lib/postgres.ts'
import type { Resource } from '../../lib/scope.ts'
import { within } from '../../lib/time-limit.ts'

/** Publishes one kind of record that rows of the database ask for. */
export interface OutboxTask {
  name: string
  /** Publishes up to `limit` of what is pending. @returns how many there were */
  serve: (sql: Sql, limit: number) => Promise<number>
}

/**
 * A task in three steps. The rows say what is pending, not memory. Items are published and then marked: a crash in
 * between publishes them again but never loses one.
 */
export function toOutboxTask<T>(steps: {
  name: string
  read: (sql: Sql, limit: number) => Promise<T[]>
  publish: (items: T[]) => Promise<void>
  mark: (sql: Sql, items: T[]) => Promise<void>
}): OutboxTask {
  return {
    name: steps.name,
    async serve(sql, limit) {
      const items = await steps.read(sql, limit)
      if (items.length === 0) return 0
      await steps.publish(items)
      checkpoint('loader.wanted')
      await steps.mark(sql, items)
      return items.length
    },
  }
}

export interface OutboxOptions {
  postgres: Postgres
  tasks: readonly OutboxTask[]
  /** How often leftovers of dead processes are searched for. */
  sweepMs: number
  /** Counts what fails and what works. */
  outages: Pick<Outages, 'failed' | 'worked'>
  log: Logger
}

const batchSize = 500
/** Commits within this time are served together. */
const gatherMs = 100
/** The wait after a failure, or while another process serves a task; wakes do not shorten it. */
const retryMs = 5_000
const closeWithinMs = 2_000
/** First of the two numbers of the advisory locks; the second one is the task's place. */
const lockClass = 7_241_866

/**
 * Publishes what rows ask for: soon after {@link Outbox.wake}, at the start, and at every sweep. An advisory lock
 * lets one process at a time serve a task. A process that finds it taken tries again, because the other one may
 * have read before the last commit. No row is locked during a publish.
 */
export class Outbox implements Resource {
  readonly #o: OutboxOptions
  #timer: NodeJS.Timeout | null = null
  /** When the timer fires, or while serving, when to serve next; by `performance.now()`. */
  #dueAt = Number.POSITIVE_INFINITY
  #notBefore = 0
  #serving: Promise<void> | null = null
  #closed = false

  constructor(options: OutboxOptions) {
    this.#o = options
    this.#schedule(0)
  }

  /** Call it when something may be pending; returns at once. */
  wake(): void {
    this.#schedule(gatherMs)
  }

  /** Publishes all that is pending. @returns false if a task failed or another process serves it */
  async drain(): Promise<boolean> {
    let served = true
    for (const [place, task] of this.#o.tasks.entries()) {
      // A task that fails does not stop the others.
      const done = await this.#tryTask(task, place)
      served &&= done
    }
    return served
  }

  /** Waits at most two seconds for a publish; if it is abandoned, its rows stay pending. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
    if (this.#serving) await within(closeWithinMs, this.#serving)
  }

  #schedule(delayMs: number): void {
    const at = Math.max(performance.now() + delayMs, this.#notBefore)
    if (this.#closed || at >= this.#dueAt) return
    this.#dueAt = at
    // A wake while serving is served next: the current run may have read before the commit.
    if (this.#serving) return
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#serve(), Math.max(0, at - performance.now()))
  }

  #serve(): void {
    this.#dueAt = Number.POSITIVE_INFINITY
    this.#serving = this.drain().then((served) => {
      const askedAt = this.#dueAt
      this.#serving = null
      this.#dueAt = Number.POSITIVE_INFINITY
      this.#notBefore = served ? 0 : performance.now() + retryMs
      this.#schedule(Math.min(served ? this.#o.sweepMs : retryMs, askedAt - performance.now()))
    })
  }

  async #tryTask(task: OutboxTask, place: number): Promise<boolean> {
    const { outages, log } = this.#o
    const waiter = { name: `loader, outbox of ${task.name}`, place: null }
    try {
      const done = await this.#drainTask(task, place)
      outages.worked(waiter)
      return done
    } catch (error) {
      outages.failed(waiter, error)
      log.warn({ lane: task.name, reason: messageOf(error) }, 'outbox_waits')
      return false
    }
  }

  async #drainTask(task: OutboxTask, place: number): Promise<boolean> {
    const { postgres, log } = this.#o
    while (!this.#closed) {
      const count = await postgres.transaction((sql) => serveTask(sql, task, place))
      if (count === null) return false
      if (count > 0) log.info({ lane: task.name, count }, 'outbox_published')
      if (count < batchSize) break
    }
    return true
  }
}

/** @returns how many were published, or null if another process serves the task */
async function serveTask(sql: Sql, task: OutboxTask, place: number): Promise<number | null> {
  const text = 'select pg_try_advisory_xact_lock($1, $2) as taken'
  const { rows } = await sql.query<{ taken: boolean }>(text, [lockClass, place])
  return rows[0]?.taken ? task.serve(sql, batchSize) : null
}
