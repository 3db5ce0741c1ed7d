import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import packageFile from '../../package.json' with { type: 'json' }

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

test('the image carries the version of the package', () => {
  const [, label] = /image\.version="([^"]+)"/.exec(read('Dockerfile')) ?? []
  expect(label).toBe(packageFile.version)
})

test('the node of .nvmrc is the one that npm brings', () => {
  expect(read('.nvmrc').trim()).toBe(packageFile.devDependencies.node)
})
