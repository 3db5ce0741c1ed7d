import { expect, test } from 'vitest'
import { createFaultPlan, faultKinds, faultNames, transientFaults } from './faults.ts'

const at = { endpoint: 'recently-played', listener: 1 } as const

function plan(shares: Parameters<typeof createFaultPlan>[0]['shares'] = {}) {
  return createFaultPlan({ seed: 1, shares, largeRetryAfterSeconds: 49_861 })
}

test('a script strikes as often as it says, then the next one', () => {
  const faults = plan()
  faults.script({ fault: 'bad_gateway', count: 2 })
  faults.script({ fault: 'reset' })
  const names = [1, 2, 3, 4].map(() => faults.next(at)?.name ?? null)
  expect(names).toEqual(['bad_gateway', 'bad_gateway', 'reset', null])
})

test('a script for one endpoint or listener leaves the others alone', () => {
  const faults = plan()
  faults.script({ fault: 'not_found', endpoint: 'me', listener: 2 })
  expect(faults.next(at)).toBeNull()
  expect(faults.next({ endpoint: 'me', listener: 1 })).toBeNull()
  expect(faults.next({ endpoint: 'me', listener: 2 })?.name).toBe('not_found')
})

test('chance keeps to its share and its endpoints, and repeats by seed', () => {
  const draw = () => {
    const faults = plan({ bad_gateway: 0.2, false_invalid_grant: 1 })
    return Array.from({ length: 2_000 }, () => faults.next(at)?.name ?? null)
  }
  const drawn = draw()
  const share = drawn.filter((name) => name === 'bad_gateway').length / drawn.length
  expect(share).toBeGreaterThan(0.16)
  expect(share).toBeLessThan(0.24)
  expect(drawn).not.toContain('false_invalid_grant')
  expect(draw()).toEqual(drawn)
})

test('the four kinds of 429 differ in body and Retry-After', () => {
  const answers = (['rate_limited', 'rate_limited_zero', 'rate_limited_bare', 'quota_exceeded'] as const).map(
    (name) => {
      const { answer } = faultKinds[name].effect({ largeRetryAfterSeconds: 49_861 })
      return [answer?.status, answer?.headers['retry-after'], answer?.body]
    },
  )
  expect(answers).toEqual([
    [429, '1', '{"error":{"status":429,"message":"API rate limit exceeded"}}'],
    [429, '0', 'Too many requests'],
    [429, undefined, ''],
    [429, '49861', '{"error":{"status":429,"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}'],
  ])
})

test('the texts of the 403s have the lengths that were seen', () => {
  const length = (name: 'forbidden_unlisted_user' | 'forbidden_premium') =>
    faultKinds[name].effect({ largeRetryAfterSeconds: 1 }).answer?.body.length
  expect(length('forbidden_unlisted_user')).toBe(46)
  expect(length('forbidden_premium')).toBe(159)
})

test('a script can set Retry-After or leave it out', () => {
  const faults = plan()
  faults.script({ fault: 'rate_limited', retryAfterSeconds: null })
  faults.script({ fault: 'rate_limited_bare', retryAfterSeconds: 7 })
  expect(faults.next(at)?.effect.answer?.headers).not.toHaveProperty('retry-after')
  expect(faults.next(at)?.effect.answer?.headers['retry-after']).toBe('7')
})

test('transient faults park nobody', () => {
  expect(faultNames.filter((name) => !transientFaults.includes(name)).sort()).toEqual([
    'empty_page',
    'false_invalid_grant',
    'forbidden_gated',
    'forbidden_premium',
    'forbidden_scope',
    'forbidden_unlisted_user',
    'huge_page',
    'quota_exceeded',
  ])
})
