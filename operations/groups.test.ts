import { expect, test } from 'vitest'
import { pickGroup } from './groups.ts'

const own = ['a.loader.history', 'a.archiver']
const foreign = ['loader.history', 'a.replay', 'enricher']

test.each([
  ['archiver', 'a.archiver'],
  ['a.archiver', 'a.archiver'],
  ['replay', 'a.replay'],
  ['enricher', 'enricher'],
  ['nobody', null],
])('%s means %s', (name, group) => {
  expect(pickGroup(name, { own, foreign, prefix: 'a.' })).toBe(group)
})

test("an installation's own group comes before another one's of that very name", () => {
  expect(pickGroup('loader.history', { own, foreign, prefix: 'a.' })).toBe('a.loader.history')
})
