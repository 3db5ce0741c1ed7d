import { pause } from './backoff.ts'
import { messageOf } from './errors.ts'
import type { Logger } from './log.ts'
import type { Resource } from './scope.ts'
import { within } from './time-limit.ts'

export interface PeriodicWork {
  everyMs: number
  /** @param stop aborted when it is closed */
  work: (stop: AbortSignal) => Promise<void>
  log: Logger
  /** Name of the log line when the work fails; the work is repeated the next time. */
  failed: string
  fields?: Record<string, string>
}

const closeWithinMs = 2_000

/** Runs work at once, and again `everyMs` after each end. */
export function startPeriodicWork({ everyMs, work, log, failed, fields }: PeriodicWork): Resource {
  const stop = new AbortController()
  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      await work(stop.signal).catch((error) => log.warn({ ...fields, reason: messageOf(error) }, failed))
      await pause(everyMs, stop.signal)
    }
  }
  const running = run()
  return {
    async close() {
      stop.abort()
      // A server may be away; the next start repeats the work.
      await within(closeWithinMs, running)
    },
  }
}
