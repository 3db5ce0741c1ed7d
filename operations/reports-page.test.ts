import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Entry } from '../cli/command.ts'
import { commands } from '../cli/commands.ts'
import { reports } from './reports.ts'
import { toReportsPage } from './reports-page.ts'

test('docs/json.md says what the schemas say', async () => {
  const page = await readFile(new URL('../docs/json.md', import.meta.url), 'utf8')
  expect(page, 'docs/json.md is out of date: npm run docs:json writes it').toBe(toReportsPage(reports))
})

test('every command has a report, in the order of the help', () => {
  const namesOf = (entries: readonly Entry[]): string[] =>
    entries.flatMap((entry) => {
      const name = entry.usage.replace(/ .*/, '')
      return 'load' in entry ? [name] : namesOf(entry.commands).map((inner) => `${name} ${inner}`)
    })
  expect(reports.map(({ command }) => command)).toEqual(namesOf(commands))
})
