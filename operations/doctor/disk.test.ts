import { expect, test } from 'vitest'
import { judgeSpace } from './disk.ts'

const space = { freeBytes: 50, totalBytes: 100, freeFiles: 50, totalFiles: 100 }
test.each([
  [space, 'ok'],
  [{ ...space, freeBytes: 10 }, 'ok'],
  [{ ...space, freeBytes: 9 }, 'warn'],
  [{ ...space, freeBytes: 2 }, 'warn'],
  [{ ...space, freeBytes: 1 }, 'fail'],
  [{ ...space, freeFiles: 1 }, 'fail'],
  [{ ...space, freeFiles: 0, totalFiles: 0 }, 'ok'],
])('%j: %s', (numbers, state) => {
  expect(judgeSpace(numbers).state).toBe(state)
})
