/** Requests allowed in a window, which begins with the first of them. */
export interface Window {
  limit: number
  lengthMs: number
}

export interface Reading {
  allowed: boolean
  remaining: number
  /** Until the window ends, ms. */
  resetAfterMs: number
}

/** Counts requests by key, each in fixed windows of its own. A refused request does not count. */
export function createBuckets({ limit, lengthMs }: Window): { take(key: string, now: number): Reading } {
  const windows = new Map<string, { start: number; used: number }>()
  return {
    take(key, now) {
      const known = windows.get(key)
      const window = known && now < known.start + lengthMs ? known : { start: now, used: 0 }
      windows.set(key, window)
      const allowed = window.used < limit
      if (allowed) window.used += 1
      return { allowed, remaining: limit - window.used, resetAfterMs: window.start + lengthMs - now }
    },
  }
}
