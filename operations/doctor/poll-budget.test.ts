import { expect, test } from 'vitest'
import { judgeBudget } from './poll-budget.ts'

test.each([
  [0, 600, 'ok'],
  [6, 600, 'ok'],
  [7, 600, 'warn'],
  [30, 600, 'warn'],
  [60, 600, 'fail'],
  [60, 6_000, 'ok'],
])('%d users on %d requests a day: %s', (activeUsers, dailyRequests, state) => {
  expect(judgeBudget({ activeUsers, dailyRequests }).state).toBe(state)
})
