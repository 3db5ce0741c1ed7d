import { setTimeout as sleep } from 'node:timers/promises'

/** Sleeps; returns early, without an error, when the signal is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal && { signal }).catch(() => undefined)
}

/** A wait that doubles with each failure in a row. */
export interface Backoff {
  firstMs: number
  longestMs: number
}

/** @param failures in a row, from 1 on */
export function exponentialMs(failures: number, { firstMs, longestMs }: Backoff): number {
  return Math.min(firstMs * 2 ** Math.min(Math.max(failures - 1, 0), 30), longestMs)
}

const ofServers: Backoff = { firstMs: 200, longestMs: 30_000 }

/** The wait before the next request to a server: 0.2, 0.4, 0.8 … 30 seconds, plus or minus a quarter. */
export function backoffMs(failures: number, random: number = Math.random()): number {
  return Math.round(exponentialMs(failures, ofServers) * (0.75 + random / 2))
}
