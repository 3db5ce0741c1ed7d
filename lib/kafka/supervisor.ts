import { backoffMs, pause } from '../backoff.ts'
import { from, RetriableError } from '../errors.ts'
import type { HealthReport } from '../health.ts'
import { metrics } from '../metrics.ts'
import type { Resource } from '../scope.ts'
import { Consumer } from './consumer.ts'
import type { ConsumerOptions } from './consumer-options.ts'
import { EndingWork } from './ending-work.ts'
import { guardGroup } from './kafkajs-patches.ts'
import { LogGuard } from './log-guard.ts'

/**
 * Keeps this process a member of a consumer group until it is closed. Each crash ends one {@link Consumer}, and the
 * loop opens another with backoff. kafkajs's own restart is off: it can revive a consumer that was disconnected, and
 * it stops at errors that it considers permanent.
 *
 * Fetching and handling are separate: kafkajs's loop only moves records into the partitions' queues. So heartbeats go
 * on during a long effect, and a slow partition does not hold up the others. A heartbeat therefore does not show
 * progress: `/healthz` fails when a batch has been in work for too long.
 */
export class ConsumerSupervisor<V> implements Resource {
  readonly #o: ConsumerOptions<V>
  readonly #stop = new AbortController()
  readonly #guard: LogGuard
  readonly #ending = new EndingWork<V>()
  readonly #lived: Promise<void>
  #consumer: Consumer<V> | null = null

  constructor(options: ConsumerOptions<V>) {
    this.#o = options
    this.#guard = new LogGuard(options.group, options.client)
    guardGroup(options.group)
    this.#lived = this.#live().catch(options.fail)
    options.health.register(`consumer ${options.group}`, () => this.#report())
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#lived
    await this.#guard.close()
  }

  async #live(): Promise<void> {
    const { group, outages, server, log } = this.#o
    const stop = this.#stop.signal
    for (let failures = 0; !stop.aborted; ) {
      const consumer = new Consumer(this.#o, { guard: this.#guard, ending: this.#ending })
      this.#consumer = consumer
      const reason = await consumer.run(stop)
      await consumer.end(stop)
      if (stop.aborted) return
      failures = consumer.wasHealthy ? 1 : failures + 1
      metrics.consumerRestarts.inc({ group })
      outages.failed({ name: group, place: null }, from(server, new RetriableError(reason)))
      const delayMs = backoffMs(failures)
      log.warn({ group, delayMs, reason }, 'consumer_restarted')
      await pause(delayMs, stop)
    }
  }

  #report(): HealthReport {
    const now = performance.now()
    const workers = [...this.#ending.workers, ...(this.#consumer?.workers ?? [])]
    const busyForMs = Math.max(0, ...workers.map((worker) => worker.busyForMs(now)))
    if (busyForMs > this.#o.stuckAfterMs) {
      const detail = `a batch has been in work for ${Math.round(busyForMs / 1000)} s`
      return { alive: false, ready: false, detail }
    }
    const detail = this.#waitsFor()
    if (detail) return { alive: true, ready: false, detail }
    return { alive: true, ready: true, detail: `owns ${this.#consumer?.workers.length} partitions` }
  }

  /** The reason why it is not ready, or null if it is. */
  #waitsFor(): string | null {
    const consumer = this.#consumer
    if (!consumer?.isReading) return 'joining the group'
    if (this.#ending.size > 0) return 'waiting for the work of an earlier assignment to end'
    const isWaiting = consumer.holdsAny || consumer.workers.some((worker) => worker.waiting)
    return isWaiting ? 'waiting for something it needs' : null
  }
}
