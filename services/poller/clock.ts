/** Clocks that differ by no more than this agree. */
export const clockToleranceMs = 5 * 60_000

/** The time of a page when this machine's clock and Spotify's disagree. */
export interface PageTime {
  /** Unix time in milliseconds. */
  fetchedAt: number
  /** How far this machine's clock is ahead of Spotify's. */
  aheadMs: number
  /** Spotify's time was taken. */
  isCorrected: boolean
}

/** Whether Spotify's clock and ours disagree, so that a third one must decide. */
export function isSkewed(ours: number, spotify: number | null): spotify is number {
  return spotify !== null && Math.abs(ours - spotify) > clockToleranceMs
}

/**
 * The clock that dates a page: Spotify's if Postgres agrees with it and not with ours, else ours. A third clock
 * decides because an answer can come late, from a cache, or from a proxy with a wrong clock.
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
