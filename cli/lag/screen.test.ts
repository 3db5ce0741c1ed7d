import { expect, test } from 'vitest'
import type { GroupStanding } from '../../operations/lag/report.ts'
import { toLagLines, toRanges } from './screen.ts'

test.each([
  [[], ''],
  [[4], '4'],
  [[0, 1, 2, 3], '0-3'],
  [[0, 2, 3, 7], '0,2-3,7'],
])('partitions %j are %s', (numbers, text) => {
  expect(toRanges(numbers)).toBe(text)
})

test('long names, many partitions and large numbers stay within 80 columns', () => {
  const topic = 'a.very.long.prefix.spotify.recently-played'
  const partition = (n: number) => ({
    ...{ topic, partition: n, start: 0, end: 98_765_432_100, committed: 1_234, position: 1_234 },
    ...{ lag: 98_765_430_866, lagMs: 86_400_000, forgotten: 7, verdict: 'stall' as const },
  })
  const group: GroupStanding = {
    ...{ group: 'a.very.long.prefix.loader.history', state: 'PreparingRebalance' },
    ...{ lag: 1e12, lagMs: null, verdict: 'stall' },
    members: [
      { clientId: 'loader', host: '10.0.0.1', assigned: [{ topic, partitions: [0, 2, 4, 6, 8, 10] }] },
      { clientId: 'loader', host: '10.0.0.2', assigned: [] },
    ],
    partitions: [partition(0), partition(11)],
  }
  const out = { width: 80, style: (_style: string, text: string) => text }
  const lines = toLagLines([group], { out, detail: { all: true, members: true } })
  expect(lines.filter((line) => line.length > 80)).toEqual([])
  expect(lines.join(' ')).toContain('removed 14 records that it had not read')
})
