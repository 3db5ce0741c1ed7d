/**
 * Where a partition's log stood some time ago: the first offset whose record is not older than `ageMs`, or its
 * end when all are older. Kafka answers this for any time (ListOffsets).
 */
export interface PastOffset {
  ageMs: number
  offset: number
}

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** Ages that are asked for one after the other until the oldest waiting record lies between two of them. */
export const lagLadderMs: readonly number[] = [
  ...[1, 2, 5, 10, 20, 40].map((n) => n * second),
  ...[1, 2, 5, 10, 20, 40].map((n) => n * minute),
  ...[1, 2, 4, 8, 16].map((n) => n * hour),
  ...[1, 2, 4, 8, 16, 32].map((n) => n * day),
]

/** Whether an answer reaches back far enough: the record at `next` is younger than that. */
export function isBracketed(next: number, past: readonly PastOffset[]): boolean {
  return past.some((p) => p.offset <= next)
}

/**
 * Age of the oldest record that waits, in milliseconds: between the last rung at which it was already there and
 * the first at which it was not, by the share of the records between them. Precise to a rung, and right at once
 * after a restart, as it needs no memory.
 *
 * @param next offset that the group reads next; a record waits there
 * @param past answers for rising ages
 * @returns the highest age asked for when even that does not reach back far enough
 */
export function toLagAge(next: number, past: readonly PastOffset[]): number {
  let younger: PastOffset | null = null
  for (const rung of past) {
    if (rung.offset <= next) return interpolate(next, younger, rung)
    younger = rung
  }
  return younger?.ageMs ?? 0
}

function interpolate(next: number, younger: PastOffset | null, older: PastOffset): number {
  if (!younger) return older.ageMs
  const share = (younger.offset - next) / (younger.offset - older.offset)
  return younger.ageMs + share * (older.ageMs - younger.ageMs)
}
