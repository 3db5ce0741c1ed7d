import { pause } from '../../lib/backoff.ts'
import { isKnownOutage } from '../../lib/errors.ts'
import { FloodError } from '../../lib/kafka/flood-valve.ts'
import { describe } from '../fault.ts'

/** Without any progress for this long a command gives up; what it did is noted down. */
const patienceMs = 5 * 60_000
const firstPauseMs = 1_000
const longestPauseMs = 15_000

/**
 * Does a work that goes on where it stood, again after each outage, as long as it gets on between them.
 *
 * @param options.progress grows with what was done
 * @throws what is no outage at once, and the outage that outlasts the patience
 */
export async function withPatience(
  work: () => Promise<void>,
  options: { progress: () => number; onWait?: (why: string) => void; signal: AbortSignal },
): Promise<void> {
  const { progress, onWait, signal } = options
  let seen = progress()
  let since = performance.now()
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      return await work()
    } catch (error) {
      if (signal.aborted) return
      // A flood of dead letters does not go away by waiting: the parser is what it is.
      if (!isKnownOutage(error) || error instanceof FloodError) throw error
      if (progress() > seen) {
        seen = progress()
        since = performance.now()
        pauseMs = firstPauseMs
      }
      if (performance.now() - since > patienceMs) throw error
      onWait?.(describe(error))
      await pause(pauseMs, signal)
      if (signal.aborted) return
    }
  }
}
