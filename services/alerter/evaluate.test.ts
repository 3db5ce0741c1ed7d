import { describe, expect, test } from 'vitest'
import type { GroupSample, LagState } from './evaluate.ts'
import { evaluate, restoreState } from './evaluate.ts'

const rules = { lagRecords: 100, stallMs: 60_000, downMs: 20_000 }

const sample = (lag: number, more: { members?: number; committed?: number } = {}): GroupSample => ({
  group: 'loader',
  members: more.members ?? 1,
  partitions: [{ topic: 't', partition: 0, committed: more.committed ?? 0, lag }],
})

/** Notices of a series of samples, ten seconds apart: `type state` at each index. */
function run(samples: GroupSample[], before: LagState = new Map()): Record<number, string[]> {
  let state = before
  const told: Record<number, string[]> = {}
  for (const [i, s] of samples.entries()) {
    const result = evaluate({ before: state, samples: [s], rules, now: i * 10_000 })
    state = result.state
    if (result.notices.length > 0) told[i] = result.notices.map((n) => `${n.type} ${n.state}`)
  }
  return told
}

/** Lags of a consumer that moves on. */
const moving = (lags: number[]) => lags.map((lag, i) => sample(lag, { committed: i * 10 }))

describe('consumer_lagging', () => {
  test('is raised once after three samples over the threshold, and resolved once well below it', () => {
    const lags = [0, 150, 150, 150, 150, 90, 90, 90, 60, 40, 40, 40, 40, 90]
    expect(run(moving(lags))).toEqual({ 3: ['consumer_lagging raised'], 11: ['consumer_lagging resolved'] })
  })

  test('is not raised by a peak, nor by a lag that stays below', () => {
    expect(run(moving([0, 500, 500, 0, 99, 99, 99, 99, 500, 0]))).toEqual({})
  })

  test('is raised when records wait and the offset stands still, and resolved when it moves', () => {
    const stuck = Array.from({ length: 10 }, () => sample(3))
    const goes = [1, 2, 3, 4].map((committed) => sample(3 - Math.min(committed, 3), { committed }))
    expect(run([...stuck, ...goes])).toEqual({
      8: ['consumer_lagging raised'],
      12: ['consumer_lagging resolved'],
    })
  })

  test('is not raised by an idle group without lag', () => {
    expect(run(Array.from({ length: 50 }, () => sample(0)))).toEqual({})
  })
})

describe('service_down', () => {
  test('is raised once when the group had no members for long enough, and resolved once', () => {
    const members = [1, 0, 0, 0, 0, 0, 1, 1]
    expect(run(members.map((m) => sample(0, { members: m })))).toEqual({
      3: ['service_down raised'],
      6: ['service_down resolved'],
    })
  })

  test('is not raised by a restart', () => {
    expect(run([1, 0, 1, 0, 0, 1].map((m) => sample(0, { members: m })))).toEqual({})
  })
})

test('groups do not mix', () => {
  const down = { ...sample(0, { members: 0 }), group: 'archiver' }
  const first = evaluate({ before: new Map(), samples: [sample(0), down], rules, now: 0 })
  const second = evaluate({ before: first.state, samples: [sample(0), down], rules, now: 30_000 })
  expect(second.notices.map((n) => n.subject)).toEqual(['group:archiver'])
})

describe('after a restart', () => {
  const raised = (...types: string[]) => restoreState(new Map([['loader', new Set(types)]]), 0)

  test('what was raised before is not raised again, and its end is told', () => {
    const members = [0, 0, 0, 0, 1]
    expect(
      run(
        members.map((m) => sample(0, { members: m })),
        raised('service_down'),
      ),
    ).toEqual({
      4: ['service_down resolved'],
    })
    expect(run(moving([150, 150, 150, 150, 40, 40, 40]), raised('consumer_lagging'))).toEqual({
      6: ['consumer_lagging resolved'],
    })
  })

  test('a group that stands still is not taken for one that has caught up', () => {
    const stuck = Array.from({ length: 20 }, () => sample(3))
    const goes = [1, 2, 3].map((committed) => sample(3 - committed, { committed }))
    expect(run([...stuck, ...goes], raised('consumer_lagging'))).toEqual({
      22: ['consumer_lagging resolved'],
    })
  })
})
