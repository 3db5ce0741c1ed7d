import { performance } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { Resource } from './scope.ts'

const checkEveryMs = 10_000
/** Share of the time in which the event loop is busy. */
const idleBelow = 0.1
/** Growth of the heap that is worth a full collection, which takes a few tenths of a second. */
const worthBytes = 8 << 20
/** The shortest time between two collections. */
const restMs = 10 * 60_000

/**
 * Frees memory while the process is idle. V8 collects garbage only when it needs room, so an idle service keeps the
 * garbage of its start or of its last busy time: a fifth of its memory. Does nothing without `--expose-gc`.
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
