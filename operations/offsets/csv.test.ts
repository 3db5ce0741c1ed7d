import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseCsv, toCsv } from './csv.ts'

test('what is exported is read back', () => {
  const line = fc.record({
    topic: fc.stringMatching(/^[\w.-]{1,40}$/),
    partition: fc.nat(1000),
    offset: fc.nat(),
  })
  const place = (l: { topic: string; partition: number }) => `${l.topic}:${l.partition}`
  fc.assert(
    fc.property(fc.uniqueArray(line, { selector: place }), (lines) => {
      expect(parseCsv(toCsv(lines))).toEqual({ lines, faults: [] })
    }),
  )
})
