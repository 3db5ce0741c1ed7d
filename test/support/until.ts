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
  const deadline = performance.now() + withinMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > deadline) throw new Error(`Not within ${withinMs / 1000} s: ${what}`)
    await sleep(20)
  }
}

/** As {@link until}, of something that may be away for a moment: an error counts as "not yet", and is the cause. */
export async function untilBack<T>(
  condition: () => T | Promise<T>,
  what: string,
  withinMs = 30_000,
): Promise<NonNullable<T>> {
  let last: unknown
  const patient = async () => {
    try {
      return await condition()
    } catch (error) {
      last = error
      return null
    }
  }
  return until(patient, what, withinMs).catch((error: Error) => {
    throw new Error(error.message, { cause: last })
  }) as Promise<NonNullable<T>>
}
