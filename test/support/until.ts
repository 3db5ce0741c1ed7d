import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits for a condition.
 *
 * @param what the condition in words, for the error
 * @param withinMs generous, as only a failing test waits that long
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

/** As {@link until}, but an error of the condition counts as "not yet"; the last one is the cause of a timeout. */
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
