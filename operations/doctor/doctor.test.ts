import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { checks } from './doctor.ts'

const page = readFileSync(new URL('../../docs/operations/doctor.md', import.meta.url), 'utf8')

test('the page on the doctor has each check in its table and in its example, in their order', () => {
  const rows = page.matchAll(/^\| `(\w+)` \| (.+) \| (.+) \|$/gm)
  expect([...rows].map(([, ...cells]) => cells)).toEqual(
    checks.map(({ name, looksAt, hint }) => [name, looksAt, hint]),
  )
  const [example = ''] = /(?<=\$ npx songswap doctor\n)[^`]+/.exec(page) ?? []
  expect(example.match(/^\w+$/gm)).toEqual(checks.map(({ name }) => name))
})
