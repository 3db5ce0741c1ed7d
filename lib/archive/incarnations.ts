import type { ArchiveKey } from './key.ts'

/*
 * A partition can get another log under the same name: its topic is deleted and created again, or its broker loses the
 * tail. The archive then holds several logs of the partition, its incarnations; the latest is the present log. Below
 * its first archived offset, a later log either has the records of the one before it, or they are lost. So an offset
 * is found in the latest incarnation that begins at or before it.
 */

export const incarnationOf = (key: ArchiveKey): number => key.incarnation ?? 0

/** The latest incarnation among the objects of a partition. */
export function latestOf(keys: readonly ArchiveKey[]): number {
  return Math.max(0, ...keys.map(incarnationOf))
}

/**
 * The objects to compare the present log with, by first offset: from the last one that begins at or before `offset`.
 * Leaves out every object that a later incarnation replaces, because that one begins at or before it.
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
