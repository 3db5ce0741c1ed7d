import { setTimeout as sleep } from 'node:timers/promises'

/** Waits; returns early, without an error, when the signal is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { ...(signal && { signal }), ref: true }).catch(() => undefined)
}

/** Exponential backoff with jitter: 0.2, 0.4, 0.8 … 30 seconds, plus or minus a quarter. */
export function backoffMs(attempt: number, random: number = Math.random()): number {
  const base = Math.min(200 * 2 ** Math.min(attempt - 1, 20), 30_000)
  return Math.round(base * (0.75 + random / 2))
}
