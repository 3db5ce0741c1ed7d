import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

const copied = [...read('Dockerfile').matchAll(/^COPY (\w+) \.\/\1$/gm)].map(([, folder = '']) => folder)
const modules = globSync(`{${copied.join(',')}}/**/*.ts`, { cwd: root, exclude: ['**/*.test.ts'] })

test('the image holds every folder that its modules import', () => {
  const imported = modules.flatMap((file) =>
    [...read(file).matchAll(/(?:from|import\() ?['`](\.[^'`]*\.ts)['`]/g)].map(([, to = '']) =>
      join(dirname(file), to),
    ),
  )
  expect(imported.length).toBeGreaterThan(500)
  expect(imported.filter((to) => !copied.includes(to.split('/')[0] ?? ''))).toEqual([])
})

test('the build context holds what the image copies, and nothing more of the floors', () => {
  const admitted = [...read('.dockerignore').matchAll(/^!(\w+)$/gm)].map(([, folder]) => folder)
  expect(admitted.toSorted()).toEqual(copied.toSorted())
})

test('the image bears the version of the package', () => {
  expect(read('Dockerfile')).toContain(`image.version="${JSON.parse(read('package.json')).version}"`)
})
