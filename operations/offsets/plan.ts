import type { PartitionLag } from '../../lib/kafka/admin.ts'
import type { PartitionOffset } from '../../lib/kafka/group-admin.ts'
import type { Move } from './report.ts'

/** Where to move a group, in the terms of `kafka-consumer-groups --reset-offsets`. */
export type Target =
  | { type: 'earliest' }
  | { type: 'latest' }
  | { type: 'current' }
  /** Unix time in milliseconds; a duration becomes one too. */
  | { type: 'datetime'; at: number }
  | { type: 'shift'; by: number }
  | { type: 'offset'; offset: number }
  | { type: 'offsets'; offsets: readonly PartitionOffset[] }

/** Why a plan cannot be made. */
export type PlanFault =
  | { type: 'never_committed'; places: string[] }
  | { type: 'no_such_partition'; places: string[] }

/** `topic:partition`, as the operator writes it. */
export function toPlace({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}:${partition}`
}

/**
 * Plans a move of a group. Offsets are clamped to those that the partition has, as kafka-consumer-groups does.
 *
 * @param partitions the partitions to move, with the group's offsets
 * @param atTime for a datetime, the first offset that is not older, by {@link toPlace}
 */
export function planMoves(
  partitions: readonly PartitionLag[],
  target: Target,
  atTime: ReadonlyMap<string, number> = new Map(),
): { type: 'plan'; moves: Move[] } | PlanFault {
  if (target.type === 'offsets') return planOffsets(partitions, target.offsets)
  const never = partitions.filter((p) => p.committed === null)
  if (target.type === 'shift' && never.length > 0) {
    return { type: 'never_committed', places: never.map(toPlace) }
  }
  return {
    type: 'plan',
    moves: partitions.flatMap((p) => {
      const wanted = toWanted(p, target, atTime)
      return wanted === null ? [] : [toMove(p, wanted)]
    }),
  }
}

function planOffsets(
  partitions: readonly PartitionLag[],
  offsets: readonly PartitionOffset[],
): { type: 'plan'; moves: Move[] } | PlanFault {
  const byPlace = new Map(partitions.map((p) => [toPlace(p), p]))
  const unknown = offsets.filter((o) => !byPlace.has(toPlace(o)))
  if (unknown.length > 0) return { type: 'no_such_partition', places: unknown.map(toPlace) }
  return {
    type: 'plan',
    moves: offsets.flatMap((o) => {
      const partition = byPlace.get(toPlace(o))
      return partition ? [toMove(partition, o.offset)] : []
    }),
  }
}

/** The offset that the target asks for, or null if there is nothing to do. */
function toWanted(
  p: PartitionLag,
  target: Exclude<Target, { type: 'offsets' }>,
  atTime: ReadonlyMap<string, number>,
): number | null {
  switch (target.type) {
    case 'earliest':
      return p.start
    case 'latest':
      return p.end
    case 'current':
      return p.committed
    case 'datetime':
      return atTime.get(toPlace(p)) ?? p.end
    case 'shift':
      return (p.committed ?? p.start) + target.by
    case 'offset':
      return target.offset
  }
}

function toMove(p: PartitionLag, wanted: number): Move {
  const to = Math.min(Math.max(wanted, p.start), p.end)
  return { topic: p.topic, partition: p.partition, from: p.committed, to, clamped: to !== wanted }
}
