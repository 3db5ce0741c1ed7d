/**
 * Does work that is to give up when its time is over, or when an outer signal says so; its signal tells it. Of this
 * nothing is left when the work is done: `AbortSignal.timeout` keeps its timer until the time is over, thousands of
 * them where the work takes milliseconds.
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
