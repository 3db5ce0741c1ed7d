import { performance } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { Resource } from './scope.ts'

const checkEveryMs = 10_000
/** A share of the time that the event loop is at work. */
const idleBelow = 0.1
/** A collection of the whole heap takes a few tenths of a second: worth it for so much, and not all the time. */
const worthBytes = 8 << 20
const restMs = 10 * 60_000

/**
 * Gives memory back when there is nothing to do. V8 collects garbage when it needs room: what a start or a rush
 * leaves stays in a service that has nothing to do afterwards, a fifth of its memory. Needs `--expose-gc`, and does
 * nothing without.
 */
export function trimWhenIdle(times = { checkEveryMs, restMs }): Resource {
  const collect = globalThis.gc
  let trimmed = { bytes: 0, at: Number.NEGATIVE_INFINITY }
  let before = performance.eventLoopUtilization()

  async function check(): Promise<void> {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    before = now
    const isRested = performance.now() - trimmed.at >= times.restMs
    if (!collect || utilization > idleBelow || !isRested || heapBytes() < trimmed.bytes + worthBytes) return
    await collect({ type: 'major', execution: 'async', flavor: 'last-resort' })
    trimmed = { bytes: heapBytes(), at: performance.now() }
  }

  const timer = setInterval(() => void check(), times.checkEveryMs).unref()
  return { close: async () => clearInterval(timer) }
}

function heapBytes(): number {
  return getHeapStatistics().total_heap_size
}
