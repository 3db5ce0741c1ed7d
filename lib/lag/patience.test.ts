import { expect, test } from 'vitest'
import { ruleQueries } from '../../test/support/deployed-metrics.ts'
import { topology } from '../topology.ts'
import { patienceOf } from './patience.ts'

test('the rules of Prometheus have the same patience with each group as the judge of lag', () => {
  const { groups } = topology('')
  const [rule] = ruleQueries().filter((q) => q.from.endsWith('ConsumerLagging'))
  const figures = [...(rule?.expression ?? '').matchAll(/group=~"\.\*([^"]+)"\}\) > (\d+)/g)]
  const patienceMs = patienceOf(topology(''))
  expect(Object.fromEntries(figures.map(([, group, seconds]) => [group, Number(seconds)]))).toEqual(
    Object.fromEntries(Object.values(groups).map((group) => [group, patienceMs(group) / 1000])),
  )
})

test('the patience goes by the group, whatever its prefix', () => {
  const t = topology('test.')
  expect(patienceOf(t)(t.groups.enricher)).toBe(patienceOf(topology(''))('enricher'))
})
