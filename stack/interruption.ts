/**
 * The request of the person at the terminal to end the stack: the first Ctrl-C (or SIGTERM, or the end of the
 * terminal) aborts the signal, the next one calls `onImpatience`.
 */
export interface Interruption {
  signal: AbortSignal
  /** Resolves at the first request. */
  happened: Promise<void>
  /** Stops listening: after it a signal ends the process as usual. */
  release(): void
}

/** One Ctrl-C may arrive twice, from the terminal and from npm; a second signal within this time is ignored. */
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
  // Output fails after the terminal has closed; the stack still stops in order.
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

/** A SIGTERM to npm reaches only the shell between npm and us, so we watch for that shell's end. */
function watchNpm(onEnd: () => void): () => void {
  if (!process.env.npm_lifecycle_event) return () => {}
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid !== parent) onEnd()
  }, parentCheckMs)
  timer.unref()
  return () => clearInterval(timer)
}
