import { describe, expect, test } from 'vitest'
import type { Bound } from '../../operations/rerun/bounds.ts'
import { parseFrom, parseTo, toBound } from './bound-text.ts'

const now = new Date('2026-11-24T12:00:00Z')
const time = (at: number): Bound => ({ type: 'time', at })

describe('what an operator writes', () => {
  test.each<[string, Bound | null]>([
    ['7d', time(now.getTime() - 7 * 86_400_000)],
    ['-90m', time(now.getTime() - 90 * 60_000)],
    ['2026-11-24T08:15', time(Date.UTC(2026, 10, 24, 8, 15))],
    ['1200', { type: 'offset', offset: 1200 }],
    ['0:1200,3:40', { type: 'offsets', byPartition: { 0: 1200, 3: 40 } }],
    ['0:1200,', null],
    ['tomorrow', null],
  ])('%s', (text, bound) => {
    expect(toBound(text, now)).toEqual(bound)
  })

  test('earliest and latest are the ends of the topic', () => {
    expect([parseFrom('earliest'), parseTo('latest')]).toEqual([null, null])
    for (const slip of ['latest', 'soon']) expect(() => parseFrom(slip)).toThrow('Give earliest, a span')
    expect(() => parseTo('earliest')).toThrow('Give latest, a span')
  })
})
