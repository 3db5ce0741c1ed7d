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

/** One Ctrl-C comes twice, from the terminal and from npm, where npm's shell has made way for us. */
const echoMs = 500
const parentCheckMs = 500

export function watchForInterruption(onImpatience: () => void): Interruption {
  const controller = new AbortController()
  const { promise, resolve } = Promise.withResolvers<void>()
  let firstAt = 0
  const interrupt = () => {
    if (controller.signal.aborted) return
    firstAt = performance.now()
    controller.abort()
    resolve()
  }
  const onSignal = () => {
    if (controller.signal.aborted && performance.now() - firstAt > echoMs) onImpatience()
    else interrupt()
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of signals) process.on(name, onSignal)
  const stopWatchingParent = watchNpm(interrupt)
  // When the terminal is gone its output is too; stopping in order matters more than telling of it.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  return {
    signal: controller.signal,
    happened: promise,
    release: () => {
      stopWatchingParent()
      for (const name of signals) process.off(name, onSignal)
    },
  }
}

/** A SIGTERM to npm reaches only the shell between npm and us: that shell's end is our sign. */
function watchNpm(onEnd: () => void): () => void {
  if (!process.env.npm_lifecycle_event) return () => {}
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid !== parent) onEnd()
  }, parentCheckMs)
  timer.unref()
  return () => clearInterval(timer)
}
