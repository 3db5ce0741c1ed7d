import { collectDefaultMetrics, register } from 'prom-client'
import { beforeAll, describe, expect, test } from 'vitest'
import { metrics } from '../../lib/metrics.ts'
import { dashboardQueries, exactLabels, metricNames, ruleQueries } from '../support/deployed-metrics.ts'

const queries = [...dashboardQueries(), ...ruleQueries()]
const exported = new Map<string, readonly string[]>()
/** Labels that the scrape adds. */
const scraped = ['job', 'instance']

beforeAll(() => {
  collectDefaultMetrics()
  for (const { name, labelNames } of Object.values(metrics) as unknown as {
    name: string
    labelNames: string[]
  }[]) {
    exported.set(name, labelNames)
  }
  for (const { name } of register.getMetricsAsArray()) {
    if (!exported.has(name)) exported.set(name, [])
  }
})

/** A histogram is exported as three series. */
const familyOf = (series: string) =>
  exported.has(series) ? series : series.replace(/_(bucket|sum|count)$/, '')

describe('dashboards and alert rules', () => {
  test('there are dashboards and rules, each with an expression', () => {
    expect(dashboardQueries().length).toBeGreaterThan(30)
    expect(ruleQueries().length).toBeGreaterThan(10)
    for (const { from, expression } of queries) expect([from, expression.length > 1]).toEqual([from, true])
  })

  test.each(queries)('$from asks for metrics that the services export', ({ expression }) => {
    const names = metricNames(expression)
    if (names.length === 0) expect(expression).toMatch(/\bup\b/)
    for (const name of names) expect([...exported.keys()]).toContain(familyOf(name))
  })

  test.each(queries)('$from asks for labels that the metrics have', ({ expression }) => {
    for (const { metric, label } of exactLabels(expression)) {
      expect([...scraped, ...(exported.get(familyOf(metric)) ?? [])]).toContain(label)
    }
  })

  test('every metric of our own is shown in a dashboard or watched by a rule', () => {
    const shown = new Set(queries.flatMap(({ expression }) => metricNames(expression)).map(familyOf))
    const unseen = Object.values(metrics)
      .map((m) => (m as unknown as { name: string }).name)
      .filter((name) => !shown.has(name))
    expect(unseen).toEqual([])
  })
})
