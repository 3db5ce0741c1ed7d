import { until } from '../support/until.ts'
import type { ServerName, Stack } from './stack.ts'

/** What one run of a benchmark gave. */
export interface Measurement {
  pages: number
  seconds: number
  /** CPU of the process, or of all processes, under measurement. */
  cpuSeconds: number
  /** CPU that the servers used meanwhile. */
  serverCpuSeconds: Partial<Record<ServerName, number>>
  /** Of the largest of the processes; null where it says nothing. */
  peakRssMb: number | null
  /** What else was seen, by name; units in the names. */
  details: Record<string, number>
}

/** CPU of servers since this was called. */
export function watchServers(
  stack: Stack,
  names: readonly ServerName[],
): () => Measurement['serverCpuSeconds'] {
  const before = names.map((name) => stack.cpu(name))
  return () => Object.fromEntries(names.map((name, i) => [name, stack.cpu(name) - (before[i] ?? 0)]))
}

/** A benchmark that does not come to its end fails after so long. */
const withinMs = 300_000

/** As the tests' own {@link until}, with the patience of a benchmark. */
export const untilDone = (what: string, holds: () => boolean | Promise<boolean>) =>
  until(holds, what, withinMs)

/** @throws when a result is not what it must be: a benchmark that does wrong things fast counts for nothing */
export function expectEqual(what: string, actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) === JSON.stringify(expected)) return
  throw new Error(`${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** The value below which a share of all values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN
}
