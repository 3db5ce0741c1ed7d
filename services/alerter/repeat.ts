import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { Resource } from '../../lib/scope.ts'

export interface RepeatOptions {
  intervalMs: number
  /** Whether this alerter, of several, does the work. */
  isChosen: () => boolean
  work: () => Promise<void>
  /** Called while another process does the work: drops what is remembered of it. */
  forget: () => void
  log: Logger
  /** Name of the line in the log when the work fails. */
  failed: string
}

/** Repeats work at an interval, in one of several alerters; a failure is logged, and the next run tries again. */
export function openRepeat(options: RepeatOptions): Resource {
  const { intervalMs, isChosen, work, forget, log, failed } = options
  const stop = new AbortController()

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      await sleep(intervalMs, undefined, { signal: stop.signal }).catch(() => undefined)
      if (stop.signal.aborted) return
      if (isChosen()) await work().catch((error) => log.warn({ reason: messageOf(error) }, failed))
      else forget()
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
