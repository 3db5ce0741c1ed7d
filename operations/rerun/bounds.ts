import { z } from 'zod'
import type { PartitionEnds } from '../../lib/kafka/admin.ts'

/** Where a range of a topic begins or ends. */
export const bound = z.union([
  z.object({ type: z.literal('time'), at: z.number().describe('Unix ms, of the records') }),
  z.object({ type: z.literal('offset'), offset: z.int().describe('the same in every partition') }),
  z.object({
    type: z.literal('offsets'),
    byPartition: z.record(z.string(), z.int()).describe('the other partitions are left out'),
  }),
])

export type Bound = z.infer<typeof bound>

/** The part of a topic to run again. */
export interface Choice {
  /** Null for its first record. */
  from: Bound | null
  /** Null for its end. */
  to: Bound | null
  /** Null for all partitions. */
  partitions: readonly number[] | null
}

/** By partition, the first offset not older than a bound's time; absent for other bounds. */
export interface OffsetsAtTimes {
  from?: ReadonlyMap<number, number>
  to?: ReadonlyMap<number, number>
}

/** Offsets of one partition, `to` not included. */
export interface Range {
  partition: number
  from: number
  to: number
}

/** The chosen ranges, cut to what the partitions have; empty ones are left out. */
export function toRanges(ends: readonly PartitionEnds[], choice: Choice, at: OffsetsAtTimes): Range[] {
  return ends
    .filter(({ partition }) => choice.partitions?.includes(partition) ?? true)
    .map(({ partition, start, end }) => {
      const from = toOffset(choice.from, partition, at.from) ?? start
      const to = toOffset(choice.to, partition, at.to) ?? end
      return { partition, from: Math.max(from, start), to: Math.min(to, end) }
    })
    .filter((range) => range.from < range.to && names(choice.from, range) && names(choice.to, range))
}

/** A choice as it applies to one partition: offsets and times (Unix ms), `to` not included. */
export interface Limits {
  offsets: { from: number; to: number }
  times: { from: number; to: number }
}

/** The limits of a partition, or null if the partition is not chosen. */
export function toLimits(choice: Choice, partition: number): Limits | null {
  const { from, to } = choice
  if (!(choice.partitions?.includes(partition) ?? true)) return null
  if (!names(from, { partition }) || !names(to, { partition })) return null
  return {
    offsets: {
      from: toOffset(from, partition) ?? 0,
      to: toOffset(to, partition) ?? Number.POSITIVE_INFINITY,
    },
    times: {
      from: from?.type === 'time' ? from.at : Number.NEGATIVE_INFINITY,
      to: to?.type === 'time' ? to.at : Number.POSITIVE_INFINITY,
    },
  }
}

export function isWithin({ offsets, times }: Limits, record: { offset: number; timestamp: number }): boolean {
  const { offset, timestamp } = record
  return offset >= offsets.from && offset < offsets.to && timestamp >= times.from && timestamp < times.to
}

/** Whether one of the bounds names offsets, which make sense for one topic only. */
export function sayOffsets(...bounds: (Bound | null | undefined)[]): boolean {
  return bounds.some((b) => b?.type === 'offset' || b?.type === 'offsets')
}

function names(bound: Bound | null, { partition }: { partition: number }): boolean {
  return bound?.type !== 'offsets' || partition in bound.byPartition
}

function toOffset(
  bound: Bound | null,
  partition: number,
  atTime?: ReadonlyMap<number, number>,
): number | undefined {
  if (bound?.type === 'offset') return bound.offset
  if (bound?.type === 'offsets') return bound.byPartition[partition]
  return bound?.type === 'time' ? atTime?.get(partition) : undefined
}
