import { expect, test } from 'vitest'
import { BudgetBlocks } from './budget-blocks.ts'

test('requests that are reserved together are all granted while the budget has some, and the rest goes back', async () => {
  let out = 0
  const order = [30, 10, 20]
  let calls = 0
  const blocks = new BudgetBlocks(
    {
      async take(_lane, count) {
        await turns(order[calls++ % order.length] ?? 0)
        out += count
        return { granted: count, window: 'w', windowEndsInMs: 60_000, isPaused: false }
      },
      async refund(_lane, count) {
        await turns(40)
        out -= count
      },
    },
    { dailyRequests: 1_000_000 },
  )
  const taken = await Promise.all(Array.from({ length: 12 }, () => blocks.take('accounts', 1)))
  expect(taken.map(({ granted }) => granted)).toEqual(Array(12).fill(1))
  await blocks.close()
  expect(out).toBe(12)
})

/** Lets other work go on for this many microtasks. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve()
}
