import { expect, test } from 'vitest'
import { collectTopic, parseDuration, parseShift } from './options.ts'

test.each([
  ['P7D', 604_800_000],
  ['PT90M', 5_400_000],
  ['P1DT2H3M4.5S', 93_784_500],
  ['P2W', 1_209_600_000],
  ['PT0S', 0],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each(['', 'P', 'PT', '7D', 'P7', 'P-7D', 'P1M', 'PT1D'])('%j is no duration', (text) => {
  expect(() => parseDuration(text)).toThrow()
})

test('topics are given whole or by partitions, and collected', () => {
  const first = collectTopic('a.b:0,12')
  expect(collectTopic('c', first)).toEqual([
    { topic: 'a.b', partitions: [0, 12] },
    { topic: 'c', partitions: null },
  ])
  for (const text of ['', ':0', 'a:', 'a:x', 'a b']) expect(() => collectTopic(text)).toThrow()
})

test('a shift has a sign or none', () => {
  expect(['+5', '-5', '5'].map(parseShift)).toEqual([5, -5, 5])
  expect(() => parseShift('5.5')).toThrow()
})
