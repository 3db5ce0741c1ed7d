import { z } from 'zod'
import type { Report } from './reports.ts'

/** The JSON Schema of what `JSON.stringify` makes of a report; a Date is text there. */
export function toJsonSchema(schema: z.ZodType): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(schema, {
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type !== 'date') return
      jsonSchema.type = 'string'
      jsonSchema.format = 'date-time'
    },
  })
}

const introduction = `# What \`--json\` prints

Every command below takes \`--json\`. It then prints one JSON document on standard output, or one document a line where
that is said. Words for a person go to standard error. \`time\` is ISO 8601 in UTC, as in \`2026-11-24T08:15:00.000Z\`.

\`npm run docs:json\` writes this page from the schemas in \`operations/\`.
`

/** The page docs/json.md: for each command a section with a table of its fields. */
export function toReportsPage(reports: readonly Report[]): string {
  return [introduction, ...reports.map(toSection)].join('\n')
}

function toSection({ command, description, schema, lines }: Report): string {
  const rows = toRows('', toJsonSchema(schema)).filter(({ path, text }) => path !== '' || text !== '')
  return [
    `## songswap ${command} --json`,
    '',
    lines ? `${description} One document a line.` : description,
    '',
    '| field | type | meaning |',
    '|---|---|---|',
    ...rows.map(({ path, type, text }) => `| ${path && `\`${path}\``} | ${type} | ${text} |`),
    '',
  ].join('\n')
}

interface Row {
  path: string
  type: string
  text: string
}

type Schema = z.core.JSONSchema.BaseSchema

/** A field, and the fields within it. */
function toRows(path: string, schema: Schema): Row[] {
  const text = (schema.description ?? '').replaceAll('|', '\\|')
  return [{ path, type: toType(schema), text }, ...toInner(path, schema)]
}

function toInner(path: string, schema: Schema): Row[] {
  const dot = path === '' ? '' : `${path}.`
  const { properties = {}, additionalProperties: values, items } = schema
  const named = Object.entries(properties).flatMap(([name, of]) => toRows(dot + name, of as Schema))
  const inAny = toChoices(path, schema.anyOf ?? schema.oneOf ?? [])
  const inItems = isSchema(items) ? toInner(`${path}[]`, items) : []
  const inValues = isSchema(values) ? toInner(`${dot}*`, values) : []
  return [...named, ...inAny, ...inItems, ...inValues]
}

/** Several shapes of one field, one after the other. */
function toChoices(path: string, choices: readonly unknown[]): Row[] {
  const shapes = choices.map((of) => ({ of: of as Schema, rows: toInner(path, of as Schema) }))
  const filled = shapes.filter(({ rows }) => rows.length > 0)
  if (filled.length < 2) return filled.flatMap(({ rows }) => rows)
  return filled.flatMap(({ of, rows }, i) => [
    {
      path,
      type: toType(of),
      text: `${i === 0 ? 'either' : 'or'}${of.description ? `: ${of.description}` : ''}`,
    },
    ...rows,
  ])
}

function isSchema(of: unknown): of is Schema {
  return typeof of === 'object' && of !== null && !Array.isArray(of)
}

function toType(schema: Schema): string {
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return [...new Set(choices.map((of) => toType(of as Schema)))].join(' or ')
  if (schema.enum) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ')
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``
  if (schema.format === 'date-time') return 'time'
  if (schema.type === 'array') return isSchema(schema.items) ? `array of ${toType(schema.items)}` : 'array'
  if (isSchema(schema.additionalProperties)) return toMapType(schema, schema.additionalProperties)
  return [schema.type ?? 'any'].flat().join(' or ')
}

function toMapType({ propertyNames: keys }: Schema, values: Schema): string {
  const names = isSchema(keys) && keys.enum ? `${toType(keys)}: ` : ''
  return `object of ${names}${toType(values)}`
}
