import fc from 'fast-check'
import stringWidth from 'string-width'
import { describe, expect, test } from 'vitest'
import { cut, toPrintable, toTable } from './table.ts'

describe('toTable', () => {
  test('columns line up, numbers to the right', () => {
    const columns = [{ title: 'ID', align: 'right' as const }, { title: 'NAME' }]
    expect(
      toTable(
        columns,
        [
          ['7', 'Ann'],
          ['12345', 'Bo'],
        ],
        80,
      ),
    ).toEqual(['   ID  NAME', '    7  Ann', '12345  Bo'])
  })

  test('a wide name keeps the columns after it in line', () => {
    const lines = toTable(
      [{ title: 'NAME' }, { title: 'X' }],
      [
        ['宇多田ヒカル', '1'],
        ['Zoë', '2'],
      ],
      80,
    )
    const before = lines.map((line) => stringWidth(line.slice(0, -1)))
    expect(new Set(before).size).toBe(1)
  })

  test('shrinking columns give way until the table fits', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 60 })
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text, fc.nat()), { maxLength: 8 }), (rows) => {
        const lines = toTable(
          [{ title: 'A', shrinks: true }, { title: 'B', shrinks: true }, { title: 'N' }],
          rows.map(([a, b, n]) => [a, b, String(n)]),
          40,
        )
        expect(lines).toHaveLength(rows.length + 1)
        for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(40)
      }),
    )
  })

  test('short shrinking columns stay whole while a long one gives way', () => {
    const columns = [
      { title: 'A', shrinks: true },
      { title: 'B', shrinks: true },
    ]
    expect(toTable(columns, [['short', 'x'.repeat(50)]], 20)[1]).toBe(`short  ${'x'.repeat(12)}…`)
  })
})

test('a table of a hundred thousand and more lines is made', () => {
  const rows = Array.from({ length: 150_000 }, (_, i) => [String(i)])
  expect(toTable([{ title: 'ID' }], rows, 80)).toHaveLength(150_001)
})

test('cut never splits what is one character to the eye', () => {
  expect(cut('👨‍👩‍👧 family', 4)).toBe('👨‍👩‍👧 …')
})

test.each([
  ['an escape sequence', '\u001b[31mred', '\u{fffd}[31mred'],
  ['a line end', 'a\nb\u2028c', 'a\u{fffd}b\u{fffd}c'],
  ['a turn of the writing', 'a\u202eb', 'a\u{fffd}b'],
  ['a lone surrogate', 'a\ud800', 'a\u{fffd}'],
])('%s from outside does not reach the terminal', (_what, text, shown) => {
  expect(toPrintable(text)).toBe(shown)
})
