import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits for a condition.
 *
 * @param what says in the error what did not come about
 * @param withinMs generous: it bounds a failing test, a passing one waits no longer than it must
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  withinMs = 30_000,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > deadline) throw new Error(`Not within ${withinMs / 1000} s: ${what}`)
    await sleep(20)
  }
}
