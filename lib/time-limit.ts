/** The result of {@link within} when the time is over. */
export const late = Symbol('late')

/**
 * The result of a promise, or {@link late} if it has not settled in time. The work behind it goes on; if it fails
 * later, the error is ignored.
 */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | typeof late> {
  const { promise: over, resolve } = Promise.withResolvers<typeof late>()
  const timer = setTimeout(() => resolve(late), ms)
  try {
    return await Promise.race([promise, over])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Runs work with a signal that is aborted when the time is over, or when an outer signal is aborted. Leaves no timer
 * behind, unlike `AbortSignal.timeout`, which keeps its timer until the time is over: thousands of them where the work
 * takes milliseconds.
 *
 * @param ms after which the signal is aborted, with a reason named `TimeoutError`
 */
export async function withDeadline<T>(
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
): Promise<T> {
  outer?.throwIfAborted()
  const controller = new AbortController()
  const timer = setTimeout(() => {
    controller.abort(new DOMException(`Nothing within ${ms / 1000} s`, 'TimeoutError'))
  }, ms)
  const giveUp = () => controller.abort(outer?.reason)
  outer?.addEventListener('abort', giveUp)
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    outer?.removeEventListener('abort', giveUp)
  }
}
