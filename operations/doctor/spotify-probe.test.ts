import { expect, test } from 'vitest'
import { judgeApp, judgeCredentials } from './spotify-probe.ts'

test.each([
  ['ok', 'ok'],
  ['invalid_client', 'fail'],
  ['server_error', 'fail'],
  ['rate_limited', 'warn'],
] as const)('token: %s is %s', (type, state) => {
  expect(judgeCredentials({ type, json: null, message: '', retryAfterMs: null } as never).state).toBe(state)
})

test.each([
  ['ok', 'ok', 'Extended'],
  ['gated', 'ok', 'Development'],
  ['premium_lapsed', 'fail', 'Premium'],
  ['quota_exceeded', 'warn', 'quota_exceeded'],
  ['unauthorized', 'fail', 'unauthorized'],
  ['unreachable', 'fail', 'unreachable'],
] as const)('batch: %s is %s, %s', (type, state, text) => {
  const finding = judgeApp({ type, json: null, message: '', retryAfterMs: null } as never)
  expect(finding).toMatchObject({ state, text: expect.stringContaining(text) })
})
