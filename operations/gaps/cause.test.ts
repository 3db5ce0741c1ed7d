import { describe, expect, test } from 'vitest'
import { longestSilence, toCauses, toEpisodes } from './cause.ts'

const hour = 3_600_000
const event = (type: string, subject: string, state: string, at: number) => ({
  ...{ type, subject, state, message: `${type} of ${subject}`, at: new Date(at) },
})

describe('toEpisodes', () => {
  test('pairs what was raised with what resolved it', () => {
    const episodes = toEpisodes([
      event('spotify_outage', 'app', 'raised', 1),
      event('spotify_outage', 'accounts', 'raised', 2),
      event('spotify_outage', 'app', 'raised', 3),
      event('spotify_outage', 'app', 'resolved', 4),
      event('spotify_outage', 'app', 'raised', 5),
      event('consumer_lagging', 'group:x', 'raised', 6),
      event('budget_short', 'app', 'resolved', 7),
    ])
    expect(episodes.map((e) => [e.subject, e.from, e.to])).toEqual([
      ['app', 1, 4],
      ['accounts', 2, null],
      ['app', 5, null],
    ])
  })
})

describe('toCauses', () => {
  const episode = { type: 'spotify_paused', subject: 'app', message: 'Polling pauses.' }
  const at = (from: number, to: number | null) => ({ ...episode, from: from * hour, to: to && to * hour })
  const gap = { userId: 7, from: 10 * hour, to: 20 * hour, silence: null }

  test.each([
    ['within', at(12, 13), true],
    ['around', at(1, 30), true],
    ['begun before', at(1, 11), true],
    ['not over yet', at(19, null), true],
    ['over before', at(1, 9), false],
    ['begun after', at(21, null), false],
    ['of another user', { ...at(12, 13), subject: 'user:8' }, false],
    ['of this user', { ...at(12, 13), subject: 'user:7' }, true],
  ])('an episode %s', (_what, one, isCause) => {
    expect(toCauses({ ...gap, episodes: [one] })[0]?.includes('Polling pauses')).toBe(isCause)
  })

  test('something is said in any case', () => {
    expect(toCauses({ ...gap, episodes: [] })).toHaveLength(1)
    const silence = { from: 11 * hour, to: 19 * hour }
    expect(toCauses({ ...gap, episodes: [], silence })[0]).toContain('1970-01-01 11:00 to 1970-01-01 19:00')
  })
})

test.each([
  ['no growth at all', [5, 5, 5, 5], [0, 3]],
  ['steady growth', [1, 2, 3, 4, 5, 6, 7], null],
  ['a stop in the middle', [1, 2, 2, 2, 2, 3], [1, 4]],
  ['too short a stop', [1, 2, 3, 4, 4, 5, 6, 7], null],
  ['a stop at the end', [1, 2, 3, 3, 3], [2, 4]],
  ['nothing', [], null],
])('longestSilence: %s', (_what, records, expected) => {
  const silence = longestSilence(records.map((n, at) => ({ at, records: n })))
  expect(silence && [silence.from, silence.to]).toEqual(expected)
})
