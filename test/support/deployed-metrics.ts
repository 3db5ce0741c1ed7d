import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const deploy = join(import.meta.dirname, '..', '..', 'deploy')
const dashboards = join(deploy, 'grafana', 'dashboards')

/** One query of a dashboard or of an alert rule. */
export interface Query {
  /** File and title, for the messages of tests. */
  from: string
  expression: string
}

interface Dashboard {
  panels: { title: string; targets: { expr: string }[] }[]
}

export function dashboardQueries(): Query[] {
  return readdirSync(dashboards).flatMap((file) => {
    const { panels } = JSON.parse(readFileSync(join(dashboards, file), 'utf8')) as Dashboard
    return panels.flatMap(({ title, targets }) =>
      targets.map(({ expr }) => ({ from: `${file}: ${title}`, expression: expr })),
    )
  })
}

/** The expressions of the alert rules: from `expr:` to the next key, over folded lines. */
export function ruleQueries(): Query[] {
  const text = readFileSync(join(deploy, 'prometheus', 'rules.yaml'), 'utf8')
  const rules = text.split(/^ {6}- alert: /m).slice(1)
  return rules.map((rule) => {
    const name = rule.slice(0, rule.indexOf('\n'))
    const [, expression = ''] = /^ {8}expr: (.*?)\n {8}\w+:/ms.exec(rule) ?? []
    return { from: `rules.yaml: ${name}`, expression }
  })
}

/** Names of the metrics in an expression: words outside of braces that are not functions or labels. */
export function metricNames(expression: string): string[] {
  const bare = expression
    .replace(/\{[^}]*\}/g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, '')
  return [...new Set(bare.match(/\b[a-z]+_[a-z0-9_]+\b(?!\s*\()/g) ?? [])]
}

/** The label selectors with exact values in an expression, e.g. `for_seconds="1200"`. */
export function exactLabels(expression: string): { metric: string; label: string; value: string }[] {
  return [...expression.matchAll(/([a-z]+_[a-z0-9_]+)\{([^}]*)\}/g)].flatMap(
    ([, metric = '', selector = '']) =>
      [...selector.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', value = '']) => ({
        metric,
        label,
        value,
      })),
  )
}
