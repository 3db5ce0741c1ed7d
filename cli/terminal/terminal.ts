import type { Readable } from 'node:stream'
import type { Env } from '../../lib/config.ts'

/** Where a command runs: a process, or a test. */
export interface Terminal {
  readonly env: Env
  readonly stdin: Readable & { isTTY?: boolean }
  readonly stdout: Screen
  readonly stderr: Screen
  /**
   * Calls back once, at Ctrl-C or SIGTERM; a second signal ends the process.
   *
   * @returns a function that stops listening
   */
  onInterrupt(listener: () => void): () => void
}

/** An output: a terminal or a pipe. */
export type Screen = NodeJS.WritableStream & { isTTY?: boolean; columns?: number }

/** The terminal of this process. */
export function ownTerminal(): Terminal {
  const { env, stdin, stdout, stderr } = process
  const names = ['SIGINT', 'SIGTERM'] as const
  return {
    ...{ env, stdin, stdout, stderr },
    onInterrupt(listener) {
      const off = () => {
        for (const name of names) process.off(name, onSignal)
      }
      const onSignal = () => {
        off()
        listener()
      }
      for (const name of names) process.on(name, onSignal)
      return off
    },
  }
}
