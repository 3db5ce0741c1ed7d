/**
 * The wish of the person at the terminal that all of it end: the first Ctrl-C (or SIGTERM, or the
 * terminal closing) aborts the signal, the next one calls `onImpatience`.
 */
export interface Interruption {
  signal: AbortSignal
  /** Resolves at the first one. */
  happened: Promise<void>
  /** Stops listening: from then on a signal ends the process in the usual way. */
  release(): void
}

export function watchForInterruption(onImpatience: () => void): Interruption {
  const controller = new AbortController()
  const { promise, resolve } = Promise.withResolvers<void>()
  const onSignal = () => {
    if (controller.signal.aborted) return onImpatience()
    controller.abort()
    resolve()
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of signals) process.on(name, onSignal)
  // When the terminal is gone its output is too; stopping in order matters more than telling of it.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  return {
    signal: controller.signal,
    happened: promise,
    release: () => {
      for (const name of signals) process.off(name, onSignal)
    },
  }
}
