import { pause } from '../../lib/backoff.ts'

/** Keeps to a rate. */
export interface Pace {
  /** Most records to be handed over in one go, so that the pace is even. */
  readonly portion: number
  /** Waits until so many more records are due; returns at once when aborted. */
  wait(records: number): Promise<void>
}

/** @param perSecond records; null: as fast as it goes */
export function openPace(perSecond: number | null, options: { portion: number; signal: AbortSignal }): Pace {
  const { signal } = options
  if (perSecond === null) return { portion: options.portion, wait: async () => undefined }
  let dueAt = performance.now()
  return {
    portion: Math.max(1, Math.min(options.portion, Math.ceil(perSecond))),
    async wait(records) {
      const now = performance.now()
      const ms = dueAt - now
      // Time that passed unused is not made up for: the rate is what the database is to be spared from.
      dueAt = Math.max(dueAt, now) + (records * 1000) / perSecond
      if (ms > 0) await pause(ms, signal)
    },
  }
}
