import { until } from '../support/until.ts'
import type { ServerName, Stack } from './stack.ts'

/** Result of one run of a benchmark. */
export interface Measurement {
  pages: number
  seconds: number
  /** CPU of all measured processes. */
  cpuSeconds: number
  /** CPU of the servers in the same time. */
  serverCpuSeconds: Partial<Record<ServerName, number>>
  /** Of the largest process, or null if it means nothing. */
  peakRssMb: number | null
  /** Further results by name; the names have the units. */
  details: Record<string, number>
}

/** Returns a function that gives the servers' CPU since this call. */
export function watchServers(
  stack: Stack,
  names: readonly ServerName[],
): () => Measurement['serverCpuSeconds'] {
  const before = names.map((name) => stack.cpu(name))
  return () => Object.fromEntries(names.map((name, i) => [name, stack.cpu(name) - (before[i] ?? 0)]))
}

/** A benchmark that does not end fails after this time. */
const withinMs = 300_000

/** As the tests' own {@link until}, with the patience of a benchmark. */
export const untilDone = (what: string, holds: () => boolean | Promise<boolean>) =>
  until(holds, what, withinMs)

/** @throws if a result is wrong, as the speed of wrong results means nothing */
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

/** The value below which this share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN
}
