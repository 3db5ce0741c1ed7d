import { pause } from '../../lib/backoff.ts'
import { isKnownOutage } from '../../lib/errors.ts'
import { FloodError } from '../../lib/kafka/flood-valve.ts'
import { describe } from '../fault.ts'

/** A command stops after this long without progress; its journal keeps what it did. */
const patienceMs = 5 * 60_000
const firstPauseMs = 1_000
const longestPauseMs = 15_000

/**
 * Runs resumable work, and runs it again after each outage while it makes progress.
 *
 * @param options.progress a count that grows with the work
 * @throws any other error at once, and an outage that outlasts the patience
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
      // Waiting does not end a flood of dead letters: the same records fail again.
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
