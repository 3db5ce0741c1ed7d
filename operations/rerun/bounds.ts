import { InvalidArgumentError } from 'commander'
import { toMoment } from '../../cli/terminal/moment.ts'
import type { PartitionEnds } from '../../lib/kafka/admin.ts'

/** Where a range of a topic begins or ends, as an operator says it. */
export type Bound =
  /** Unix time in milliseconds, of the records. */
  | { type: 'time'; at: number }
  /** The same offset in every partition. */
  | { type: 'offset'; offset: number }
  /** An offset for each partition; the others are left out. */
  | { type: 'offsets'; byPartition: Readonly<Record<number, number>> }

/**
 * `7d`, `-90m`, `2026-11-24T08:15`, `1200`, `0:1200,3:40`.
 *
 * @returns null: it is none of these
 */
export function toBound(text: string, now: Date): Bound | null {
  if (/^\d{1,15}$/.test(text)) return { type: 'offset', offset: Number(text) }
  if (/^\d{1,9}:\d{1,15}(,\d{1,9}:\d{1,15})*$/.test(text)) {
    const pairs = text.split(',').map((pair) => pair.split(':').map(Number))
    return { type: 'offsets', byPartition: Object.fromEntries(pairs) }
  }
  const at = toMoment(text, now)
  return at && { type: 'time', at: at.getTime() }
}

/** For `--from`; null: from the first record. */
export const parseFrom = (text: string): Bound | null => parseBound(text, 'earliest')

/** For `--to`; null: up to the end. */
export const parseTo = (text: string): Bound | null => parseBound(text, 'latest')

/** `--to earliest` is no slip that may mean everything. */
function parseBound(text: string, open: 'earliest' | 'latest'): Bound | null {
  if (text === open) return null
  const bound = toBound(text, new Date())
  if (bound) return bound
  throw new InvalidArgumentError(
    `Give ${open}, a span (7d), a date (2026-11-24T08:15), an offset, or PARTITION:OFFSET,….`,
  )
}

/** For an option of commander's: `0` or `0,3,4`. */
export function parsePartitions(text: string): number[] {
  if (/^\d{1,9}(,\d{1,9})*$/.test(text)) return text.split(',').map(Number)
  throw new InvalidArgumentError('Give a partition, or several: 0,3,4.')
}

/** What to run again of a topic. */
export interface Choice {
  /** null: from its first record. */
  from: Bound | null
  /** null: up to its end. */
  to: Bound | null
  /** null: all. */
  partitions: readonly number[] | null
}

/** First offset not older than a bound's time, by partition; absent for bounds that are no times. */
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

/** The chosen ranges within what the partitions have; those without a record are left out. */
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

/** The limits of a partition; null: it is not chosen at all. */
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

/** Whether one of these says offsets, which are those of a single topic. */
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
