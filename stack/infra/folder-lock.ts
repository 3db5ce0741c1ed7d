import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StackFault } from './stack-fault.ts'

/**
 * Makes this process the only launcher of a data folder until it releases the lock or ends. It is the operating
 * system's lock on a SQLite file, so even a killed process leaves none behind.
 *
 * @throws StackFault naming the other launcher's pid.
 */
export function lockFolder(dataDir: string): { release(): void } {
  const runDir = join(dataDir, 'run')
  try {
    mkdirSync(runDir, { recursive: true })
    const database = new DatabaseSync(join(runDir, 'lock.sqlite'))
    const owner = join(runDir, 'owner')
    try {
      database.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    } catch {
      database.close()
      throw new StackFault(
        `The stack already runs in ${dataDir} (pid ${readOwner(owner)}): use that, or stop it.`,
      )
    }
    writeFileSync(owner, String(process.pid))
    return { release: () => database.close() }
  } catch (error) {
    if (error instanceof StackFault) throw error
    throw new StackFault(`${dataDir} cannot be written (${(error as Error).message}): make it writable.`)
  }
}

function readOwner(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return 'unknown'
  }
}
