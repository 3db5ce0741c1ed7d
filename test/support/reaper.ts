import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** Ends the processes of a test run that is killed. */
export interface Reaper {
  /** Call it when no process is left to end. */
  dismiss(): void
}

/**
 * Starts a process that outlives this one. If this one ends, in any way, without dismissing it, it stops every
 * process that is recorded in `<dataDir>/run` and removes the folder.
 *
 * @param dataDir absolute
 */
export function startReaper(dataDir: string): Reaper {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'reaper-main.ts'), dataDir], {
    // A session of its own: a kill of our process group spares it.
    detached: true,
    // It reads from a pipe that closes when this process ends.
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  child.unref()
  return {
    dismiss() {
      child.stdin.on('error', () => undefined)
      child.stdin.end('dismissed')
    },
  }
}
