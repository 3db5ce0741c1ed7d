/**
 * Where a partition's log was some time ago: the first offset whose record is not older than `ageMs`, or the end if all
 * are older. Kafka answers this for any time (ListOffsets).
 */
export interface PastOffset {
  ageMs: number
  offset: number
}

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** Ages to ask for, one after the other, until the age of the oldest waiting record is between two of them. */
const ladderMs: readonly number[] = [
  ...[1, 5, 20].map((n) => n * second),
  ...[1, 5, 20].map((n) => n * minute),
  ...[1, 4, 16].map((n) => n * hour),
  ...[2, 8, 32].map((n) => n * day),
]

/** An age is precise enough within ten seconds, or a fiftieth of it. */
const preciseMs = 10 * second
const preciseShare = 0.02

/**
 * The age to ask for next, to find the age of the record at `next`; null once that is precise enough, or cannot be
 * found more precisely. Climbs the ladder, then halves the bracket.
 *
 * @param next the group's position, where a record waits
 * @param past answers so far, in any order
 */
export function toProbe(next: number, past: readonly PastOffset[]): number | null {
  const { younger, older } = toBracket(next, past)
  if (older === null) return ladderMs.find((rung) => rung > younger) ?? null
  const isPrecise = older - younger <= Math.max(preciseMs, older * preciseShare)
  return isPrecise ? null : Math.round((younger + older) / 2)
}

/**
 * Age of the record at `next` in milliseconds, by the answers. Never less than the true age, unless the record is older
 * than the highest age asked for.
 */
export function toLagAge(next: number, past: readonly PastOffset[]): number {
  const { younger, older } = toBracket(next, past)
  return older ?? younger
}

/** The record's age is above `younger` and at most `older`, which is null if no answer reaches back that far. */
function toBracket(next: number, past: readonly PastOffset[]): { younger: number; older: number | null } {
  const older = past.filter((p) => p.offset <= next).map((p) => p.ageMs)
  const limit = older.length > 0 ? Math.min(...older) : null
  const younger = past.filter((p) => p.offset > next && p.ageMs < (limit ?? Number.POSITIVE_INFINITY))
  return { younger: Math.max(0, ...younger.map((p) => p.ageMs)), older: limit }
}
