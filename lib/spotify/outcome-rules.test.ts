import { expect, test } from 'vitest'
import type { OutcomeType } from './outcome.ts'
import { outcomeTypes } from './outcome.ts'
import { outcomeRules, refusals, unreadableOutcomes } from './outcome-rules.ts'

const types = Object.keys(outcomeTypes) as OutcomeType[]

test('every outcome has a rule, and no rule contradicts itself', () => {
  expect(Object.keys(outcomeRules).sort()).toEqual([...types].sort())
  for (const type of types) {
    const { parks, counts, event, again } = outcomeRules[type]
    // A user is not parked without an event; an outage or a pause parks nobody.
    if (parks)
      expect([type, event]).toEqual([type, parks === 'forbidden' ? 'user_forbidden' : 'user_needs_reauth'])
    if (counts === 'fails' || again === 'pause') expect([type, parks]).toEqual([type, null])
    expect([type, again === 'plan']).toEqual([type, type === 'ok'])
  }
})

test('five answers can park a user, four of them the API’s', () => {
  expect(types.filter((type) => outcomeRules[type].parks).sort()).toEqual(
    ['invalid_grant', ...refusals].sort(),
  )
  expect([...refusals].sort()).toEqual(['gated', 'missing_scope', 'refused', 'user_not_listed'])
})

test('what cannot be read is an outage', () => {
  expect([...unreadableOutcomes].sort()).toEqual(['not_json', 'truncated_json', 'unexpected_status'])
})
