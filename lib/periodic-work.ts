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
  /** Name and fields of the line in the log when the work fails; it is done again the next time. */
  failed: string
  fields?: Record<string, string>
}

const closeWithinMs = 2_000

/** Does a piece of work at once, and again `everyMs` after it ended. */
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
      // A server may be away: what is not done now is done after the next start.
      await within(closeWithinMs, running)
    },
  }
}
