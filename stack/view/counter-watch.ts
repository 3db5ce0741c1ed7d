import { setTimeout as delay } from 'node:timers/promises'
import type { NodeProcess } from '../services.ts'
import { addReading, emptyTally, readCounters, type Tally, totalOf } from './counters.ts'
import type { View } from './view.ts'

const everyMs = 1_000

/** Shows the services' counters as they rise. A service that does not answer keeps its last count. */
export function watchCounters(
  services: NodeProcess[],
  view: View,
): { stop(): Promise<void>; kill(): Promise<void> } {
  const stopping = new AbortController()
  const tallies = new Map<string, Tally>()
  const read = async ({ name, port }: NodeProcess) => {
    const timeout = AbortSignal.any([stopping.signal, AbortSignal.timeout(2_000)])
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: timeout })
    const reading = readCounters(await response.text())
    tallies.set(name, addReading(tallies.get(name) ?? emptyTally, reading))
  }
  const watch = async () => {
    while (!stopping.signal.aborted) {
      await Promise.allSettled(services.map(read))
      if (stopping.signal.aborted) return
      view.counters(totalOf([...tallies.values()]))
      await delay(everyMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }
  void watch()
  const stop = async () => stopping.abort()
  return { stop, kill: stop }
}
