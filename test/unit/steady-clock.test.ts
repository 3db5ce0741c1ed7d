import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/** Where the wall clock is reckoned with on purpose: times of records, users and retention, or one that is shown. */
const comparesTimes = [
  'compaction.ts',
  'listing.ts',
  'explain.ts',
  'screen.ts',
  'restore-screen.ts',
  'add.ts',
  'world.ts',
  'replays.ts',
  'lookup-worker.ts',
  'outage-watch.ts',
  // Quotes such lines of kafkajs, and mends them.
  'kafkajs-patches.ts',
]

/** The wall clock in an arithmetic or a comparison. */
const reckons = /(?:[-+<]|(?<!=)>)=?\s*Date\.now\(\)|Date\.now\(\)\s*(?:[-+<]|>=?\s)/

test('no wait goes by the wall clock: when that steps back by an hour it would end an hour late', () => {
  const root = join(import.meta.dirname, '..', '..')
  const folders = 'lib,services,operations,simulators,cli,console,stack,db,deploy,test/support'
  const found = globSync(`{${folders}}/**/*.ts`, { cwd: root })
    .filter((file) => !file.endsWith('.test.ts') && reckons.test(readFileSync(join(root, file), 'utf8')))
    .filter((file) => !comparesTimes.some((name) => file.endsWith(`/${name}`)))
  expect(found).toEqual([])
})
