import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** Ends what a test run left when its own process was killed. */
export interface Reaper {
  /** To be called when nothing is left to end. */
  dismiss(): void
}

/**
 * Starts a process that outlives this one. When this one ends without having dismissed it, however it ended, it stops
 * every process that is recorded in `<dataDir>/run` and removes the folder.
 *
 * @param dataDir absolute
 */
export function startReaper(dataDir: string): Reaper {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'reaper-main.ts'), dataDir], {
    // A session of its own: what kills our process group leaves it alone.
    detached: true,
    // It reads from this process: the end of that pipe is the end of this process.
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
