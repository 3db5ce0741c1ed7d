/** Clocks that are no further apart go together. */
export const clockToleranceMs = 5 * 60_000

/** What the time of a page is, when this machine's clock and Spotify's do not go together. */
export interface PageTime {
  /** Unix time in milliseconds. */
  fetchedAt: number
  /** How far this machine's clock is ahead of Spotify's. */
  aheadMs: number
  /** Spotify's time was taken. */
  isCorrected: boolean
}

/** Whether Spotify's clock and ours are so far apart that a third one must be asked. */
export function isSkewed(ours: number, spotify: number | null): spotify is number {
  return spotify !== null && Math.abs(ours - spotify) > clockToleranceMs
}

/**
 * Which of two clocks a page bears: Spotify's where Postgres' goes with it, else ours. A third clock decides,
 * because an answer can come late, from a cache, or from a proxy whose own clock is wrong.
 */
export function toPageTime({
  ours,
  spotify,
  postgres,
}: {
  ours: number
  spotify: number
  postgres: number
}): PageTime {
  const near = (a: number, b: number) => Math.abs(a - b) <= clockToleranceMs
  const isCorrected = near(spotify, postgres) && !near(ours, postgres)
  return { fetchedAt: isCorrected ? spotify : ours, aheadMs: ours - spotify, isCorrected }
}
