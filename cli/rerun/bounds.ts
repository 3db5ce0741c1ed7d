import { InvalidArgumentError } from 'commander'
import type { PartitionEnds } from '../../lib/kafka/admin.ts'
import { toMoment } from '../moment.ts'

/** Where a range of a topic begins or ends, as an operator says it. */
export type Bound =
  /** Unix time in milliseconds, of the records. */
  | { type: 'time'; at: number }
  /** The same offset in every partition. */
  | { type: 'offset'; offset: number }
  /** An offset for each partition; the others are left out. */
  | { type: 'offsets'; byPartition: ReadonlyMap<number, number> }

/**
 * `7d`, `-90m`, `2026-11-24T08:15`, `1200`, `0:1200,3:40`.
 *
 * @returns null: it is none of these
 */
export function toBound(text: string, now: Date): Bound | null {
  if (/^\d{1,15}$/.test(text)) return { type: 'offset', offset: Number(text) }
  if (/^\d{1,9}:\d{1,15}(,\d{1,9}:\d{1,15})*$/.test(text)) {
    const pairs = text.split(',').map((pair): [number, number] => {
      const [partition, offset] = pair.split(':').map(Number)
      return [partition ?? 0, offset ?? 0]
    })
    return { type: 'offsets', byPartition: new Map(pairs) }
  }
  const at = toMoment(text, now)
  return at && { type: 'time', at: at.getTime() }
}

/** For `--from` and `--to`; null stands for the end of the topic that the option means without a value. */
export function parseBound(text: string): Bound | null {
  if (text === 'earliest' || text === 'latest') return null
  const bound = toBound(text, new Date())
  if (bound) return bound
  throw new InvalidArgumentError(
    'Give a span (7d), a date (2026-11-24T08:15), an offset, or PARTITION:OFFSET,….',
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

/** Whether an offset is within a choice that is made by offsets; choices by time let every offset pass. */
export function isWithin(choice: Choice, place: { partition: number; offset: number }): boolean {
  const { partition, offset } = place
  if (!(choice.partitions?.includes(partition) ?? true)) return false
  if (!names(choice.from, place) || !names(choice.to, place)) return false
  const from = toOffset(choice.from, partition) ?? 0
  const to = toOffset(choice.to, partition) ?? Number.POSITIVE_INFINITY
  return offset >= from && offset < to
}

function names(bound: Bound | null, { partition }: { partition: number }): boolean {
  return bound?.type !== 'offsets' || bound.byPartition.has(partition)
}

function toOffset(
  bound: Bound | null,
  partition: number,
  atTime?: ReadonlyMap<number, number>,
): number | undefined {
  if (bound?.type === 'offset') return bound.offset
  if (bound?.type === 'offsets') return bound.byPartition.get(partition)
  return bound?.type === 'time' ? atTime?.get(partition) : undefined
}
