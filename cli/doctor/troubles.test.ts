import { expect, test } from 'vitest'
import { toTroubleLines } from './troubles.ts'

const now = new Date('2026-11-24T08:00:00Z')

test('the table fits, whatever names hold, and says how many it leaves out', () => {
  const troubled = Array.from({ length: 25 }, (_, id) => ({
    ...{ id, spotifyId: 'seven', displayName: '\u001b[31mlong '.repeat(20), status: 'active' as const },
    ...{ tokenAgeDays: 10, consentDaysLeft: 170, lastOkAt: new Date('2026-11-23T08:00:00Z'), openGaps: 3 },
    troubles: ['no tokens', 'no poll has worked for 1d', '3 open gaps'],
  }))
  const lines = toTroubleLines(troubled, { now, width: 72 })
  expect(lines).toHaveLength(22)
  expect(lines.at(-1)).toContain('and 5 more')
  expect(lines.filter((line) => line.length > 72 || line.includes('\u001b'))).toEqual([])
})
