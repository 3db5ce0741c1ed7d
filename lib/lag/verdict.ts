/**
 * The state of a consumer group, after LinkedIn's Burrow (wiki "Consumer Lag Evaluation Rules"). Burrow counts commits;
 * songswap samples offsets, where "no commits" and "commits without progress" differ only by the group's members.
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

/** A group's position and lag in a partition at one moment. */
export interface LagSample {
  /** Unix time in milliseconds. */
  at: number
  /** Offset that the group reads next: the committed one, or the first that the topic still has. */
  position: number
  /** Records waiting, never negative. */
  lag: number
}

/** Most samples of a window, as in Burrow. */
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
  /** When the oldest waiting record began to wait (Unix ms), or null if that is not known. */
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
 * | the position went back, and is still below what it was | rewind |
 * | nothing waited at some moment | ok |
 * | the position is the same throughout, and the group has no members | stop |
 * | the age of the oldest is not known, and the position moved or the window is shorter than the patience | unknown |
 * | nothing has waited for as long as the patience | ok |
 * | one sample alone | unknown |
 * | the position is the same throughout | stall |
 * | the position moves, and the lag never became less | warn |
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

/** The worst of the verdicts. That of a group is the worst of its partitions. */
export function worst(of: readonly Verdict[]): Verdict {
  return order[Math.max(0, ...of.map((v) => order.indexOf(v)))] ?? 'ok'
}

/** Whether an operator has to act. */
export function isBad(verdict: Verdict): boolean {
  return verdict === 'stop' || verdict === 'stall' || verdict === 'rewind'
}
