import { expect, test } from 'vitest'
import { toMoment } from './moment.ts'

const now = new Date('2026-11-24T08:00:00Z')

test.each([
  ['7d', '2026-11-17T08:00:00.000Z'],
  ['-90m', '2026-11-24T06:30:00.000Z'],
  ['0s', '2026-11-24T08:00:00.000Z'],
  ['2026-11-24', '2026-11-24T00:00:00.000Z'],
  ['2026-11-24T08:15', '2026-11-24T08:15:00.000Z'],
  ['2026-11-24 08:15:02.5', '2026-11-24T08:15:02.500Z'],
  ['2026-11-24T08:15:02Z', '2026-11-24T08:15:02.000Z'],
  ['2026-11-24T08:15:02+02:00', '2026-11-24T06:15:02.000Z'],
])('%s is %s', (text, at) => {
  expect(toMoment(text, now)?.toISOString()).toBe(at)
})

test.each(['', 'd', '7', '7y', 'yesterday', '24.11.2026', '2026-13-01', '2026-11-24T25:00', '1e3d'])(
  '%j is no moment',
  (text) => {
    expect(toMoment(text, now)).toBeNull()
  },
)
