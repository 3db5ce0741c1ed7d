import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LagSample, Verdict } from './verdict.ts'
import { addSample, evaluatePartition, isBad, worst } from './verdict.ts'

const patienceMs = 60_000
const everyMs = 10_000

/** Samples ten seconds apart, each `position/end`. */
function toWindow(samples: string): LagSample[] {
  return samples
    .split(' ')
    .map((text) => text.split('/').map(Number))
    .map(([position = 0, end = 0], i) => ({ at: i * everyMs, position, lag: Math.max(0, end - position) }))
}

/** A window, the members, how long the oldest record has waited (seconds), the verdict. */
const cases: [what: string, samples: string, members: number, waitedS: number | null, verdict: Verdict][] = [
  ['nothing waits', '5/5 5/5 5/5', 1, null, 'ok'],
  ['nothing waits, and nobody is there', '5/5 5/5', 0, null, 'ok'],
  ['a group that commits seldom after an idle time', '5/5 5/5 5/5 5/6', 1, 5, 'ok'],
  ['all of it was read once', '5/5 5/9 6/9 7/10', 1, 90, 'ok'],
  ['the offset moves and the lag falls', '5/50 20/50 30/60', 1, 90, 'ok'],
  ['the offset moves and the lag grows', '5/50 6/60 7/70', 1, 90, 'warn'],
  ['the offset moves and the lag stays', '5/50 15/60 25/70', 1, 90, 'warn'],
  ['the lag fell at one step', '5/50 30/60 31/90', 1, 90, 'ok'],
  ['the lag grows, but nothing has waited for long', '5/50 15/70 25/90', 1, 20, 'ok'],
  ['nothing moves, and the oldest is young', '5/50 5/50 5/50', 1, 30, 'ok'],
  ['nothing moves, and the oldest is old', '5/50 5/50', 1, 3600, 'stall'],
  ['nothing moves for a whole patience', '5/9 5/9 5/9 5/9 5/9 5/9 5/9', 1, null, 'stall'],
  ['nothing moves while records come', '5/9 5/90 5/900', 1, 100, 'stall'],
  ['nobody is there', '5/9 5/9', 0, 1, 'stop'],
  ['nobody is there, in one sample', '5/9', 0, null, 'stop'],
  ['the last member has left, having moved', '5/9 6/9', 0, 5, 'ok'],
  ['one sample of a group with members', '5/9', 1, 3600, 'unknown'],
  ['one sample whose oldest record is young', '5/9', 1, 30, 'ok'],
  ['one sample whose oldest record has no known age', '5/9', 1, null, 'unknown'],
  ['nobody knows how old the oldest is, for less than a patience', '5/9 6/90', 1, null, 'unknown'],
  ['the offset went back', '50/60 10/60 20/60', 1, 5, 'rewind'],
  ['the offset went back to the end of an empty log', '50/60 10/10', 1, null, 'ok'],
  ['the offset went back and has recovered', '50/60 10/60 51/60', 1, 5, 'ok'],
  ['the offset went back and nobody is there', '50/60 10/60 10/60', 0, 5, 'rewind'],
  ['a producer with a clock ahead', '5/50 5/50', 1, -900, 'ok'],
]

test.each(cases)('%s', (_what, samples, members, waitedS, verdict) => {
  const window = toWindow(samples)
  const now = window.at(-1)?.at ?? 0
  const oldestAt = waitedS === null ? null : now - waitedS * 1000
  expect(evaluatePartition({ window, members, oldestAt, patienceMs })).toBe(verdict)
})

test('without samples there is nothing to be said', () => {
  expect(evaluatePartition({ window: [], members: 0, oldestAt: null, patienceMs })).toBe('ok')
})

describe('properties', () => {
  const sample = fc.record({ at: fc.nat(1e6), position: fc.nat(100), lag: fc.nat(100) })
  const view = fc.record({
    window: fc.array(sample, { minLength: 1, maxLength: 10 }),
    members: fc.nat(3),
    oldestAt: fc.option(fc.integer({ min: -1e6, max: 2e6 })),
    patienceMs: fc.constant(patienceMs),
  })

  test('a group that has read everything is never blamed', () => {
    fc.assert(
      fc.property(view, (v) => {
        const window = [...v.window, { at: 1e6, position: 5, lag: 0 }]
        expect(evaluatePartition({ ...v, window })).toBe('ok')
      }),
    )
  })

  test('a group whose offset only ever grows is never told to have rewound', () => {
    fc.assert(
      fc.property(view, (v) => {
        const window = v.window.map((s, i) => ({ ...s, position: i }))
        expect(evaluatePartition({ ...v, window })).not.toBe('rewind')
      }),
    )
  })

  test('a group is as its worst partition', () => {
    expect(worst([])).toBe('ok')
    expect(worst(['ok', 'unknown', 'ok'])).toBe('unknown')
    expect(worst(['warn', 'ok'])).toBe('warn')
    expect(worst(['stall', 'stop', 'rewind', 'warn'])).toBe('stop')
    expect((['ok', 'unknown', 'warn', 'rewind', 'stall', 'stop'] as const).map(isBad)).toEqual([
      ...[false, false, false],
      ...[true, true, true],
    ])
  })
})

test('the window keeps the last ten samples', () => {
  const samples = Array.from({ length: 25 }, (_, at) => ({ at, position: 0, lag: 0 }))
  const window = samples.reduce<LagSample[]>((kept, s) => addSample(kept, s), [])
  expect(window.map((s) => s.at)).toEqual([15, 16, 17, 18, 19, 20, 21, 22, 23, 24])
})
