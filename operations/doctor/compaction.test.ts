import { expect, test } from 'vitest'
import { judgeCompaction } from './compaction.ts'

const dayMs = 86_400_000
const judge = (records: number, oldestMs: number | null) =>
  judgeCompaction('spotify.metadata', 7 * dayMs, { records, oldestMs })

test.each([
  ['nothing waits', 0, null, 'ok'],
  ['what waits is far from compaction', 5, 3 * dayMs, 'ok'],
  ['half of the time is gone', 5, 3.5 * dayMs, 'warn'],
  ['compaction may have removed what was not archived', 5, 7 * dayMs, 'fail'],
  ['records wait, and nobody knows since when', 5, null, 'warn'],
] as const)('%s', (_title, records, oldestMs, state) => {
  const found = judge(records, oldestMs)
  expect(found.state).toBe(state)
  expect(found.hint === null).toBe(state === 'ok')
})
