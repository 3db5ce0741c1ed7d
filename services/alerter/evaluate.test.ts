import { describe, expect, test } from 'vitest'
import type { Verdict } from '../../lib/lag/verdict.ts'
import type { GroupSample, LagState } from './evaluate.ts'
import { evaluate, restoreState } from './evaluate.ts'

const rules = { downMs: 20_000 }

const sample = (verdict: Verdict, members = 1): GroupSample => ({
  group: 'loader',
  members: Array.from({ length: members }),
  lag: verdict === 'ok' ? 0 : 3,
  lagMs: verdict === 'ok' ? 0 : 3_600_000,
  verdict,
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

const verdictsOf = (text: string) => text.split(' ').map((verdict) => sample(verdict as Verdict))

describe('consumer_lagging', () => {
  test.each(['warn', 'stall', 'rewind'])(
    'is raised once after three samples of %s, and resolved once',
    (bad) => {
      expect(run(verdictsOf(`ok ${bad} ${bad} ${bad} ${bad} ok ok ${bad} ok ok ok ok`))).toEqual({
        3: ['consumer_lagging raised'],
        10: ['consumer_lagging resolved'],
      })
    },
  )

  test('is not raised by a peak', () => {
    expect(run(verdictsOf('ok warn warn ok stall stall ok'))).toEqual({})
  })

  test('is neither raised nor resolved by what nobody knows, nor by a group that nobody consumes as', () => {
    expect(run(verdictsOf('unknown unknown unknown stop stop stop stop'))).toEqual({})
    expect(run(verdictsOf('stall stall stall unknown stop unknown stop unknown'))).toEqual({
      2: ['consumer_lagging raised'],
    })
  })

  test('says how many records wait, and for how long', () => {
    const before = new Map([['loader', { emptySince: null, down: false, lagging: false, contrary: 2 }]])
    const last = evaluate({ before, samples: [sample('stall')], rules, now: 0 })
    expect(last.notices[0]).toMatchObject({
      message: expect.stringContaining('(stall): 3 records wait, the oldest for 60 min'),
      details: { lag: '3', lagSeconds: '3600', verdict: 'stall', members: '1' },
    })
  })
})

describe('service_down', () => {
  test('is raised once when the group had no members for long enough, and resolved once', () => {
    const members = [1, 0, 0, 0, 0, 0, 1, 1]
    expect(run(members.map((m) => sample('ok', m)))).toEqual({
      3: ['service_down raised'],
      6: ['service_down resolved'],
    })
  })

  test('is not raised by a restart', () => {
    expect(run([1, 0, 1, 0, 0, 1].map((m) => sample('ok', m)))).toEqual({})
  })
})

test('groups do not mix', () => {
  const down = { ...sample('ok', 0), group: 'archiver' }
  const first = evaluate({ before: new Map(), samples: [sample('ok'), down], rules, now: 0 })
  const second = evaluate({ before: first.state, samples: [sample('ok'), down], rules, now: 30_000 })
  expect(second.notices.map((n) => n.subject)).toEqual(['group:archiver'])
})

describe('after a restart', () => {
  const raised = (...types: string[]) => restoreState(new Map([['loader', new Set(types)]]), 0)

  test('what was raised before is not raised again, and its end is reported', () => {
    const members = [0, 0, 0, 0, 1]
    expect(
      run(
        members.map((m) => sample('ok', m)),
        raised('service_down'),
      ),
    ).toEqual({ 4: ['service_down resolved'] })
    expect(run(verdictsOf('stall stall stall stall ok ok ok'), raised('consumer_lagging'))).toEqual({
      6: ['consumer_lagging resolved'],
    })
  })

  test('a group that stands still is not taken for one that has caught up', () => {
    expect(run(verdictsOf('unknown stall stall unknown stall stall'), raised('consumer_lagging'))).toEqual({})
  })
})
