import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { reports } from './reports.ts'
import { toReportsPage } from './reports-page.ts'

test('docs/json.md says what the schemas say', async () => {
  const page = await readFile(new URL('../docs/json.md', import.meta.url), 'utf8')
  expect(page, 'docs/json.md is out of date: npm run docs:json writes it').toBe(toReportsPage(reports))
})
