import { describe, expect, test } from 'vitest'
import type { Notice } from '../../lib/events.ts'
import { toEvent } from '../../lib/events.ts'
import type { OutageReports } from './outage-reports.ts'
import { hear, isEndOfOne, toEnds } from './outage-reports.ts'

const minute = 60_000

const event = (more: Partial<Notice>) =>
  toEvent(
    { type: 'dependency_down', subject: 'server:postgres', severity: 'critical', message: 'down', ...more },
    'loader',
    0,
  )
const raised = (instance: string) => event({ details: { instance, repeatSeconds: '300' } })
const ended = (instance: string, end = 'works') => event({ state: 'resolved', details: { instance, end } })

type Step = [atMs: number, ReturnType<typeof event>]

/** The messages of the ends that are due at a moment, after the events until then. */
function endsAt(now: number, ...steps: Step[]): string[] {
  const outages = steps.reduce<OutageReports>((before, [at, e]) => hear(before, e, at), new Map())
  return toEnds(outages, now).map(({ message }) => message)
}

describe('an outage', () => {
  test('that several report ends with the last of them, and not with the first', () => {
    const both: Step[] = [
      [0, raised('a')],
      [0, raised('b')],
      [1, ended('a')],
    ]
    expect(endsAt(2, ...both)).toEqual([])
    expect(endsAt(2, ...both, [2, ended('b')])).toEqual(['server:postgres: over, as reported by a, b.'])
    expect(endsAt(3, ...both, [2, raised('a')], [2, ended('b')])).toEqual([])
  })

  test('of a process that is silent for three repetitions is not reported any more, and not known to be over', () => {
    expect(endsAt(15 * minute, [0, raised('a')])).toEqual([])
    expect(endsAt(16 * minute, [0, raised('a')], [5 * minute, raised('a')])).toEqual([])
    expect(endsAt(16 * minute, [0, raised('a')])).toEqual([
      'server:postgres: not reported any more. Whether it is over is not known. Silent, perhaps dead: a.',
    ])
  })

  test('of a process that stops waits for the one that takes its place', () => {
    const stopped: Step[] = [
      [0, raised('a')],
      [minute, ended('a', 'stopped')],
    ]
    expect(endsAt(16 * minute, ...stopped)).toEqual([])
    expect(endsAt(17 * minute, ...stopped, [6 * minute, raised('b')])).toEqual([])
    expect(endsAt(17 * minute, ...stopped)).toEqual([
      'server:postgres: not reported any more. Whether it is over is not known. Stopped meanwhile: a.',
    ])
    expect(endsAt(17 * minute, ...stopped, [6 * minute, raised('b')], [7 * minute, ended('b')])).toEqual([
      'server:postgres: over, as reported by b. Stopped meanwhile: a.',
    ])
  })

  test('of a partition that moves waits for its next member, for three repetitions of the report', () => {
    const moved = event({
      state: 'resolved',
      details: { instance: 'a', end: 'moved', repeatSeconds: '600' },
    })
    const steps: Step[] = [
      [0, raised('a')],
      [minute, moved],
    ]
    expect(endsAt(31 * minute, ...steps)).toEqual([])
    expect(endsAt(32 * minute, ...steps, [18 * minute, raised('b')])).toEqual([])
    expect(endsAt(32 * minute, ...steps)).toEqual([
      'server:postgres: not reported any more. Whether it is over is not known. The partition has moved away from a.',
    ])
    expect(endsAt(32 * minute, ...steps, [18 * minute, raised('b')], [19 * minute, ended('b')])).toEqual([
      'server:postgres: over, as reported by b. The partition has moved away from a.',
    ])
  })

  test('whose end was published is forgotten, and a late end of one process begins nothing', () => {
    const published = event({ state: 'resolved' })
    const forgotten: Step[] = [
      [0, raised('a')],
      [20 * minute, published],
      [21 * minute, ended('a')],
    ]
    expect(endsAt(60 * minute, ...forgotten)).toEqual([])
  })

  test('ends for itself: one server says nothing about another', () => {
    const other = event({ subject: 'server:kafka', details: { instance: 'a' } })
    const over = endsAt(2, [0, raised('a')], [0, other], [1, ended('a')])
    expect(over).toEqual(['server:postgres: over, as reported by a.'])
  })
})

test('the end that one process reports is told from the end of the outage', () => {
  expect(isEndOfOne(ended('a'))).toBe(true)
  expect(isEndOfOne(event({ state: 'resolved' }))).toBe(false)
  expect(isEndOfOne(raised('a'))).toBe(false)
})
