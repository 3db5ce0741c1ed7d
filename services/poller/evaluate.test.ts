import { describe, expect, test } from 'vitest'
import type { OutcomeType } from '../../lib/spotify/outcome.ts'
import type { RecentPoll } from './evaluate.ts'
import { addRecent, evaluateRecent, failuresOf, toRecent } from './evaluate.ts'

const polls = (...types: OutcomeType[]) =>
  types.reduce<readonly RecentPoll[]>((recent, type, userId) => {
    const poll = toRecent(userId, type, userId)
    return poll ? addRecent(recent, poll) : recent
  }, [])
const poll = (userId: number, at: number): RecentPoll => ({ userId, at, result: 'fails', isGated: false })

describe('the latest polls', () => {
  test.each<[OutcomeType[], 'working' | 'failing']>([
    [[], 'working'],
    [['server_error', 'timeout'], 'working'],
    [['server_error', 'timeout', 'not_json'], 'failing'],
    [['server_error', 'timeout', 'not_json', 'ok'], 'failing'],
    [['server_error', 'timeout', 'not_json', 'ok', 'ok', 'ok'], 'working'],
    // Nobody is served: in any words, that is not about three users.
    [['refused', 'user_not_listed', 'missing_scope'], 'failing'],
    [['unauthorized', 'bad_request', 'gated'], 'failing'],
    // Others are served: each refusal is about its own user and stops no other.
    [['refused', 'refused', 'refused', 'refused', 'ok'], 'working'],
    [['gated', 'gated', 'gated', 'server_error', 'ok'], 'working'],
    [['rate_limited', 'premium_lapsed', 'invalid_grant', 'invalid_client'], 'working'],
  ])('%j: %s', (types, verdict) => {
    expect(evaluateRecent(polls(...types), 0)).toBe(verdict)
  })

  test('one user who fails again and again is no outage', () => {
    let recent: readonly RecentPoll[] = []
    for (let at = 0; at < 50; at++) recent = addRecent(recent, poll(1, at))
    expect(evaluateRecent(recent, 0)).toBe('working')
    expect(recent).toHaveLength(1)
  })

  test('refusals are told apart from failures, which count whoever else is served', () => {
    const mixed = polls('timeout', 'refused', 'refused', 'refused')
    expect(evaluateRecent(mixed, 0)).toBe('failing')
    expect(evaluateRecent(failuresOf(mixed), 0)).toBe('working')
    expect(evaluateRecent(failuresOf(polls('timeout', 'timeout', 'timeout', 'refused')), 0)).toBe('failing')
  })

  test('quick failures are no outage while as many polls are under way', () => {
    const quick = polls('timeout', 'timeout', 'timeout')
    expect(evaluateRecent(quick, 3)).toBe('working')
    expect(evaluateRecent(quick, 2)).toBe('failing')
  })

  test('what is older than ten minutes counts no more, and memory is bounded', () => {
    const old = polls('timeout', 'timeout', 'timeout')
    expect(addRecent(old, poll(9, 700_000))).toHaveLength(1)
    expect(polls(...Array.from({ length: 1_000 }, () => 'ok' as const))).toHaveLength(200)
  })
})
