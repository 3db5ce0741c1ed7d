/** What {@link within} gives when the time is over. */
export const late = Symbol('late')

/**
 * The result of a promise, or {@link late} when it has not settled in time. What it stands for goes on then; if it
 * fails later, nobody sees it.
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
 * Runs work that a signal cuts short when its time is over, or when an outer signal is aborted. It leaves no timer
 * behind; `AbortSignal.timeout` keeps its own until the time is over, thousands of them where the work takes
 * milliseconds.
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
