import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { exampleSettings, settingsOf } from '../support/settings.ts'

const root = join(import.meta.dirname, '..', '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const names = (text: string) => new Set(text.match(/\b[A-Z][A-Z0-9_]+\b/g))
const services = ['poller', 'archiver', 'loader', 'enricher', 'alerter']

/** Names in the rows of the README's tables; after `KAFKA_SASL_MECHANISM` `_USERNAME` is `KAFKA_SASL_USERNAME`. */
function readmeNames(): string[] {
  const rows = read('README.md').matchAll(/^\| `([A-Z]\w+)`.*$/gm)
  return [...rows].flatMap(([row, first = '']) => {
    const stems = [...first.matchAll(/_/g)].map(({ index }) => first.slice(0, index))
    const inRow = [...row.matchAll(/`([A-Z_]\w+)`/g)].map(([, name = '']) => name)
    return inRow.flatMap((name) => (name.startsWith('_') ? stems.map((stem) => stem + name) : [name]))
  })
}

describe.each(services)('every setting of the %s', (service) => {
  test('is explained in the README', () => {
    const known = readmeNames()
    expect(settingsOf(service).filter((name) => !known.includes(name))).toEqual([])
  })

  test('is handed to its container', () => {
    const known = names(read('docker-compose.yaml'))
    expect(settingsOf(service).filter((name) => !known.has(name))).toEqual([])
  })

  test('is explained in .env.example, unless containers fix it', () => {
    const known = [...exampleSettings(), 'HTTP_HOST', 'HTTP_PORT']
    expect(settingsOf(service).filter((name) => !known.includes(name))).toEqual([])
  })
})

test('.env.example explains nothing that is not read', () => {
  const known = names(read('docker-compose.yaml') + read('docker-compose.cluster.yaml'))
  expect(exampleSettings().filter((name) => !known.has(name))).toEqual([])
})
