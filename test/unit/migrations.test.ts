import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('migrations bear the numbers from 1 on, each of them once', () => {
  const files = readdirSync(join(import.meta.dirname, '..', '..', 'db', 'migrations')).toSorted()
  expect(files.map((file) => file.slice(0, 5))).toEqual(
    files.map((_, index) => `${String(index + 1).padStart(4, '0')}_`),
  )
})
