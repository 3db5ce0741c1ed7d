import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** Fills the heap, drops it, and prints its size in MB before and after trimming, or after twenty seconds. */
const script = `
  import { getHeapStatistics } from 'node:v8'
  import { trimWhenIdle } from '${new URL('./idle-heap.ts', import.meta.url).href}'
  const heapMb = () => getHeapStatistics().total_heap_size / 1e6
  let garbage = Array.from({ length: 1_000_000 }, (_, i) => ({ i }))
  const before = heapMb()
  garbage = null
  const trimming = trimWhenIdle({ checkEveryMs: 100, restMs: 1_000_000 })
  const until = Date.now() + 20_000
  while (heapMb() > before / 2 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
  await trimming.close()
  console.log(JSON.stringify({ before, after: heapMb() }))
`

test('a process that has nothing to do gives back what it does not need', async () => {
  const args = ['--expose-gc', '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const { before, after } = JSON.parse(stdout)
  expect(after).toBeLessThan(before / 2)
})
