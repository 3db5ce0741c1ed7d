import type { ArchiveKey } from './key.ts'

/*
 * A partition's log can be another one under the same name: its topic was made again, or its broker lost the tail.
 * The archive then holds several logs of the partition, its incarnations. The present log is the latest of them. A
 * later one has the same records as the one before up to where it begins, or those were lost: so an offset is
 * looked for in the latest incarnation that begins at or before it.
 */

export const incarnationOf = (key: ArchiveKey): number => key.incarnation ?? 0

/** The latest incarnation that a partition's archive has. */
export function latestOf(keys: readonly ArchiveKey[]): number {
  return Math.max(0, ...keys.map(incarnationOf))
}

/**
 * The objects that the present log is compared with, by first offset: those that no later incarnation begins before.
 * The last one that begins at or before an offset, and all after it.
 */
export function presentObjects(keys: readonly ArchiveKey[], offset: number): ArchiveKey[] {
  const begins = new Map<number, number>()
  for (const key of keys) {
    const known = begins.get(incarnationOf(key)) ?? Number.POSITIVE_INFINITY
    begins.set(incarnationOf(key), Math.min(known, key.firstOffset))
  }
  const present = keys
    .filter((key) => ![...begins].some(([n, first]) => n > incarnationOf(key) && first <= key.firstOffset))
    .toSorted((a, b) => a.firstOffset - b.firstOffset)
  return present.slice(
    Math.max(
      present.findLastIndex((o) => o.firstOffset <= offset),
      0,
    ),
  )
}
