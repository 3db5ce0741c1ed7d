import { Help } from 'commander'
import stringWidth from 'string-width'

export interface Column {
  title: string
  /** Numbers are aligned to the right. */
  align?: 'left' | 'right'
  /** May be cut, with an ellipsis, when the table is too wide. */
  shrinks?: boolean
}

const gap = 2
const leastShrunk = 6

/**
 * A table with aligned columns, at most `width` wide as far as its shrinking columns allow. It makes the cells
 * printable.
 *
 * @returns lines without a newline; the first one holds the titles
 */
export function toTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): string[] {
  const cells = [columns.map((c) => c.title), ...rows.map((row) => row.map(toPrintable))]
  const widths = toWidths(
    columns.map((column, i) => ({
      width: cells.reduce((widest, row) => Math.max(widest, stringWidth(row[i] ?? '')), 0),
      shrinks: column.shrinks ?? false,
    })),
    width,
  )
  return cells.map((row) =>
    columns
      .map((column, i) => pad(cut(row[i] ?? '', widths[i] ?? 0), widths[i] ?? 0, column.align ?? 'left'))
      .join(' '.repeat(gap))
      .trimEnd(),
  )
}

/** Shrinks the widest shrinking column first, so that short ones stay whole. */
function toWidths(columns: readonly { width: number; shrinks: boolean }[], width: number): number[] {
  const widths = columns.map((c) => c.width)
  const total = () => widths.reduce((sum, w) => sum + w, 0) + gap * (widths.length - 1)
  const shrinking = columns.flatMap((c, i) => (c.shrinks ? [i] : []))
  while (total() > width) {
    const widest = shrinking.reduce(
      (best, i) => ((widths[i] ?? 0) > (widths[best] ?? 0) ? i : best),
      shrinking[0] ?? -1,
    )
    const current = widths[widest]
    if (current === undefined || current <= leastShrunk) break
    widths[widest] = current - 1
  }
  return widths
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - stringWidth(text)))
  return align === 'right' ? space + text : text + space
}

const segmenter = new Intl.Segmenter()

/** Cuts a text to `width` columns; an ellipsis stands for the rest. */
export function cut(text: string, width: number): string {
  if (stringWidth(text) <= width) return text
  let kept = ''
  for (const { segment } of segmenter.segment(text)) {
    if (stringWidth(kept + segment) > width - 1) break
    kept += segment
  }
  return `${kept}…`
}

/** Makes foreign text safe for a terminal: replaces control characters, line ends and changes of writing direction. */
export function toPrintable(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '\u{fffd}')
    .toWellFormed()
}

/** Wraps text into lines of `width` columns; longer words, such as addresses, continue on the next line. */
export function wrap(text: string, width: number): string[] {
  if (text === '') return []
  const lines = new Help().boxWrap(toPrintable(text), width).split('\n')
  return lines.flatMap((line) => line.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [])
}
