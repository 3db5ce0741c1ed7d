import { InvalidArgumentError } from 'commander'
import type { Bound } from '../../operations/rerun/bounds.ts'
import { toMoment } from '../terminal/moment.ts'

/**
 * Reads a bound such as `7d`, `-90m`, `2026-11-24T08:15`, `1200` or `0:1200,3:40`.
 *
 * @returns null if the text is not a bound
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

/** Parses `--from`; null stands for the first record. */
export const parseFrom = (text: string): Bound | null => parseBound(text, 'earliest')

/** Parses `--to`; null stands for the end. */
export const parseTo = (text: string): Bound | null => parseBound(text, 'latest')

/** Only the matching word leaves a side open: `--to earliest` must not mean everything. */
function parseBound(text: string, open: 'earliest' | 'latest'): Bound | null {
  if (text === open) return null
  const bound = toBound(text, new Date())
  if (bound) return bound
  throw new InvalidArgumentError(
    `Give ${open}, a span (7d), a date (2026-11-24T08:15), an offset, or PARTITION:OFFSET,….`,
  )
}

/** Parses an option of commander's: `0` or `0,3,4`. */
export function parsePartitions(text: string): number[] {
  if (/^\d{1,9}(,\d{1,9})*$/.test(text)) return text.split(',').map(Number)
  throw new InvalidArgumentError('Give a partition, or several: 0,3,4.')
}
