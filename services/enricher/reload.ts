import { pause } from '../../lib/backoff.ts'
import { messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { Resource } from '../../lib/scope.ts'
import type { DeferredLookups } from './deferred.ts'
import type { TicketPool } from './pool.ts'

const everyMs = 15_000
/** The most deferred lookups in memory; the others wait in Postgres. */
const takenMax = 50

/** Puts due deferred lookups back into the pool, every 15 seconds. */
export function openReload(options: { pool: TicketPool; deferred: DeferredLookups; log: Logger }): Resource {
  const { pool, deferred, log } = options
  const stop = new AbortController()

  async function reload(): Promise<void> {
    const inHand = new Set([...pool.open].filter((t) => t.isDeferred).map((t) => t.wanted.key))
    if (inHand.size >= takenMax) return
    const due = await deferred.takeDue(takenMax - inHand.size)
    pool.add(due.filter((t) => !inHand.has(t.wanted.key)))
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      await reload().catch((error) => log.warn({ reason: messageOf(error) }, 'deferred_not_read'))
      await pause(everyMs, stop.signal)
    }
  }
  const running = run()

  return {
    async close() {
      stop.abort()
      await running
    },
  }
}
