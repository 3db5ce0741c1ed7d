import { pause } from '../../lib/backoff.ts'

/** Limits a rate. */
export interface Pace {
  /** Most records for one call, so that the pace is even. */
  readonly portion: number
  /** Waits until this many more records are due; returns at once when aborted. */
  wait(records: number): Promise<void>
}

/** @param perSecond records a second, or null for no limit */
export function openPace(perSecond: number | null, options: { portion: number; signal: AbortSignal }): Pace {
  const { signal } = options
  if (perSecond === null) return { portion: options.portion, wait: async () => undefined }
  let dueAt = performance.now()
  return {
    portion: Math.max(1, Math.min(options.portion, Math.ceil(perSecond))),
    async wait(records) {
      const now = performance.now()
      const ms = dueAt - now
      // A slow phase is not made up for: the rate protects the database from peaks.
      dueAt = Math.max(dueAt, now) + (records * 1000) / perSecond
      if (ms > 0) await pause(ms, signal)
    },
  }
}
