import { readdirSync, readFileSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const folders = ['lib', 'services', 'simulators', 'operations', 'cli', 'stack', 'deploy', 'db']
const files = folders.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => join(folder, file)),
)

/** Files that a file imports more of than types. */
function importsOf(file: string): string[] {
  const source = readFileSync(join(root, file), 'utf8')
  const statements = source.matchAll(
    /^import\s+(?!type\b)[^'"]*?['"](\.[^'"]+)['"]|import\(['"](\.[^'"]+)['"]\)/gm,
  )
  return [...statements].map(([, path, dynamic]) => normalize(join(file, '..', path ?? dynamic ?? '')))
}

const importersOf = (module: string) => files.filter((file) => importsOf(file).includes(module)).sort()

test('only the gateway asks Spotify: no other file imports the HTTP client of its addresses', () => {
  expect(importersOf('lib/spotify/client.ts')).toEqual(['lib/spotify/gateway.ts'])
  // ReccoBeats is another service, with a pause of its own.
  expect(importersOf('lib/spotify/http-answer.ts')).toEqual([
    'lib/spotify/client.ts',
    'services/enricher/reccobeats-lookup.ts',
  ])
  expect(importersOf('lib/spotify/exchange.ts')).toEqual(['lib/spotify/http-answer.ts'])
})

test('nobody but the client sends requests to the addresses of Spotify that the configuration names', () => {
  const users = files.filter((file) =>
    /\b(apiUrl|accountsUrl)\b/.test(readFileSync(join(root, file), 'utf8')),
  )
  // The consent page is opened by a browser.
  expect(users.sort()).toEqual(['lib/config.ts', 'lib/spotify/client.ts', 'operations/users/consent.ts'])
})
