import { expect, test } from 'vitest'
import { judgeSkew } from './clock.ts'

const at = (theirs: number, resolutionMs = 1_000) =>
  judgeSkew({ theirs, asked: 1_000_000, answered: 1_000_400, resolutionMs })

test.each([
  ['the same second, cut', 1_000_000 - 999, 'ok'],
  ['within the time that the answer took', 1_000_300, 'ok'],
  ['ten seconds ahead', 1_010_400, 'warn'],
  ['ten seconds behind', 989_000, 'warn'],
  ['an hour ahead', 4_600_400, 'fail'],
  ['an hour behind', -2_600_000, 'fail'],
])('%s: %d is %s', (_title, theirs, state) => {
  expect(at(theirs).state).toBe(state)
})

test('says who is ahead', () => {
  expect(at(4_600_400).text).toBe("its clock is 1h ahead of this machine's")
  expect(at(989_000).text).toBe("its clock is 10s behind this machine's")
})
