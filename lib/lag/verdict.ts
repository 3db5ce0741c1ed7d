/**
 * How a consumer group does, after LinkedIn's Burrow (wiki "Consumer Lag Evaluation Rules"). Burrow counts
 * commits; we sample offsets, where "no commits" and "commits without progress" differ only by the members.
 */
export const verdicts = {
  ok: 'Nothing waits, or what waits is being read.',
  unknown: 'Records wait; what was seen does not tell whether they are being read.',
  warn: 'The group reads, but what waits does not become less.',
  rewind: 'The group went back and has not caught up since: offsets were reset, or a replay.',
  stall: 'The group has members, and records wait, but its offset does not move.',
  stop: 'Records wait, and nobody consumes them.',
} as const

/** From best to worst, as in {@link verdicts}. */
export type Verdict = keyof typeof verdicts

/** Where a group stands in a partition at one moment. */
export interface LagSample {
  /** Unix time in milliseconds. */
  at: number
  /** Offset that the group reads next: committed, or the first one there is. */
  position: number
  /** Records waiting, never negative. */
  lag: number
}

/** Samples that are kept, as in Burrow. */
const windowSize = 10

/** The window with one more sample at its end. */
export function addSample(window: readonly LagSample[], sample: LagSample): LagSample[] {
  return [...window.slice(1 - windowSize), sample]
}

export interface PartitionView {
  /** Oldest first. */
  window: readonly LagSample[]
  /** Members of the group now. */
  members: number
  /** Since when the oldest waiting record has been waiting (Unix ms), or null if that is not known. */
  oldestAt: number | null
  /** How long a record may wait in a healthy group: consumers that fill objects or digests commit seldom. */
  patienceMs: number
}

/**
 * The verdict on one partition. First match wins:
 *
 * | what the window shows | verdict |
 * |---|---|
 * | nothing waits now | ok |
 * | an offset became smaller, and is still below what it was | rewind |
 * | nothing waited at some moment | ok |
 * | the offset is the same throughout, and nobody is there | stop |
 * | the age of the oldest is not known, and the window is shorter than the patience | unknown |
 * | nothing has waited for longer than the patience | ok |
 * | one sample alone | unknown |
 * | the offset is the same throughout | stall |
 * | the offset moves, and the lag became less at no step | warn |
 * | else | ok |
 */
export function evaluatePartition({ window, members, oldestAt, patienceMs }: PartitionView): Verdict {
  const [first] = window
  const last = window.at(-1)
  if (!first || !last || last.lag === 0) return 'ok'
  if (window.some((s) => s.position > last.position)) return 'rewind'
  if (window.some((s) => s.lag === 0)) return 'ok'
  const still = window.every((s) => s.position === last.position)
  if (still && members === 0) return 'stop'
  const waited = Math.max(oldestAt === null ? 0 : last.at - oldestAt, still ? last.at - first.at : 0)
  if (waited < patienceMs) return oldestAt === null ? 'unknown' : 'ok'
  if (window.length === 1) return 'unknown'
  if (still) return 'stall'
  const neverLess = window.every((s, i) => i === 0 || s.lag >= (window[i - 1]?.lag ?? 0))
  return neverLess ? 'warn' : 'ok'
}

const order = Object.keys(verdicts) as Verdict[]

/** The verdict on a group is that on its worst partition. */
export function worst(of: readonly Verdict[]): Verdict {
  return order[Math.max(0, ...of.map((v) => order.indexOf(v)))] ?? 'ok'
}

/** Whether somebody must look after it. */
export function isBad(verdict: Verdict): boolean {
  return verdict === 'stop' || verdict === 'stall' || verdict === 'rewind'
}
