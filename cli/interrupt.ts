import type { Scope } from '../lib/scope.ts'

/**
 * Aborted by Ctrl-C or SIGTERM, so that a command ends what it has in hand and says how far it came. A second
 * Ctrl-C ends the process at once, as without this.
 */
export function interruption(scope: Scope): AbortSignal {
  const stop = new AbortController()
  const onSignal = () => stop.abort()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, onSignal)
    scope.defer(name, () => void process.off(name, onSignal))
  }
  return stop.signal
}
